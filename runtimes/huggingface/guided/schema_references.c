/* Where references lead. Once, the schema's own subschemas are walked for $id, $anchor and $dynamicAnchor; a reference
 * is then made absolute against its schema's base and looked up. Nothing outside of the document is ever read. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

/* Keywords that hold a schema, a list of them, or a map; of `items` and `dependencies` what is there decides. */
static const char *const schema_holders[] = {"additionalItems", "additionalProperties", "allOf", "anyOf", "contains",
    "contentSchema", "else", "if", "items", "not", "oneOf", "prefixItems", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties"};
static const char *const map_holders[] = {
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"};

static size_t slot_of(const struct schema *schema, const struct json *json)
{
    uint64_t hash = (uintptr_t)json * 0x9E3779B97F4A7C15u;
    return (hash ^ hash >> 29) & (schema->place_slot_count - 1);
}

static bool rehash_places(struct schema *schema)
{
    size_t slots = schema->place_slot_count == 0 ? 256 : schema->place_slot_count * 2;
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (fresh == NULL)
        return false;
    free(schema->place_slots);
    schema->place_slots = fresh;
    schema->place_slot_count = slots;
    for (uint32_t i = 0; i < schema->place_count; i++) {
        size_t at = slot_of(schema, schema->places[i].schema);
        while (fresh[at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    return true;
}

static const struct schema_place *find_place(const struct schema *schema, const struct json *json)
{
    for (size_t at = slot_of(schema, json); schema->place_slots[at] != 0;
         at = (at + 1) & (schema->place_slot_count - 1)) {
        if (schema->places[schema->place_slots[at] - 1].schema == json)
            return &schema->places[schema->place_slots[at] - 1];
    }
    return NULL;
}

static pdk_status add_place(struct schema *schema, const struct json *json, uint32_t resource)
{
    if (((size_t)schema->place_count + 1) * 2 > schema->place_slot_count && !rehash_places(schema))
        return schema_no_memory(schema);
    if (!array_grow(&schema->places, &schema->place_room, (size_t)schema->place_count + 1))
        return schema_no_memory(schema);
    size_t at = slot_of(schema, json);
    while (schema->place_slots[at] != 0)
        at = (at + 1) & (schema->place_slot_count - 1);
    schema->places[schema->place_count] = (struct schema_place){.schema = json, .resource = resource};
    schema->place_slots[at] = ++schema->place_count;
    return PDK_OK;
}

/* A URI in its parts (RFC 3986, appendix B); none of them holds its separator. */
struct uri {
    struct regular_text scheme, authority, path, query;
    bool has_authority, has_query;
};

static size_t until(const char *text, size_t length, const char *stops)
{
    size_t i = 0;
    while (i < length && strchr(stops, text[i]) == NULL)
        i++;
    return i;
}

/* The fragment is not part of it: `length` ends before. */
static struct uri read_uri(const char *text, size_t length)
{
    struct uri uri = {0};
    size_t scheme = until(text, length, ":/?#");
    if (scheme > 0 && scheme < length && text[scheme] == ':') {
        uri.scheme = (struct regular_text){text, scheme};
        text += scheme + 1;
        length -= scheme + 1;
    }
    if (length >= 2 && text[0] == '/' && text[1] == '/') {
        size_t authority = until(text + 2, length - 2, "/?");
        uri.has_authority = true;
        uri.authority = (struct regular_text){text + 2, authority};
        text += authority + 2;
        length -= authority + 2;
    }
    size_t path = until(text, length, "?");
    uri.path = (struct regular_text){text, path};
    if (path < length) {
        uri.has_query = true;
        uri.query = (struct regular_text){text + path + 1, length - path - 1};
    }
    return uri;
}

/* Puts the path without "." and ".." (section 5.2.4). */
static void put_path(struct buffer *out, const char *path, size_t length)
{
    size_t begin = out->length;
    for (size_t at = 0; at < length;) {
        size_t slash = path[at] == '/', step = slash + until(path + at + slash, length - at - slash, "/");
        const char *segment = path + at + slash;
        size_t size = step - slash;
        bool last = at + step >= length;
        if (size == 1 && segment[0] == '.') {
            if (last)
                buffer_putc(out, '/');
        } else if (size == 2 && segment[0] == '.' && segment[1] == '.') {
            while (out->length > begin && out->data[--out->length] != '/')
                continue;
            if (last)
                buffer_putc(out, '/');
        } else {
            buffer_put(out, path + at, step);
        }
        at += step;
    }
}

/* `reference` (without its fragment) against `base`; a new string. */
static char *resolve(const char *base, const char *reference, size_t length)
{
    struct uri b = read_uri(base, strlen(base)), r = read_uri(reference, length);
    struct buffer out = {0};
    bool own_scheme = r.scheme.length > 0, own_authority = own_scheme || r.has_authority;
    const struct uri *authority = own_authority ? &r : &b;
    struct regular_text scheme = own_scheme ? r.scheme : b.scheme;
    if (length == 0)
        return strdup(base);
    if (scheme.length > 0) {
        buffer_put(&out, scheme.bytes, scheme.length);
        buffer_putc(&out, ':');
    }
    if (authority->has_authority) {
        buffer_puts(&out, "//");
        buffer_put(&out, authority->authority.bytes, authority->authority.length);
    }
    const struct uri *query = &r;
    if (own_authority || (r.path.length > 0 && r.path.bytes[0] == '/')) {
        put_path(&out, r.path.bytes, r.path.length);
    } else if (r.path.length == 0) {
        buffer_put(&out, b.path.bytes, b.path.length);
        query = r.has_query ? &r : &b;
    } else {
        struct buffer path = {0};
        size_t keep = b.path.length;
        while (keep > 0 && b.path.bytes[keep - 1] != '/')
            keep--;
        if (keep == 0 && b.has_authority)
            buffer_putc(&path, '/');
        buffer_put(&path, b.path.bytes, keep);
        buffer_put(&path, r.path.bytes, r.path.length);
        if (!path.failed)
            put_path(&out, path.data, path.length);
        out.failed = out.failed || path.failed;
        buffer_done(&path);
    }
    if (query->has_query) {
        buffer_putc(&out, '?');
        buffer_put(&out, query->query.bytes, query->query.length);
    }
    buffer_put(&out, "", 0);
    if (out.failed) {
        buffer_done(&out);
        return NULL;
    }
    char *text = buffer_take(&out);
    return text != NULL ? text : strdup("");
}

static pdk_status add_anchor(
    struct schema *schema, const struct json *json, uint32_t resource, const char *keyword, bool dynamic)
{
    const char *name;
    const struct json *value = json_get(json, keyword);
    if (value == NULL || !json_string(value, &name))
        return PDK_OK;
    if (!array_grow(&schema->anchors, &schema->anchor_room, (size_t)schema->anchor_count + 1))
        return schema_no_memory(schema);
    schema->anchors[schema->anchor_count++] =
        (struct anchor){.resource = resource, .dynamic = dynamic, .name = name, .schema = json};
    return PDK_OK;
}

static pdk_status add_resource(struct schema *schema, const struct json *json, const char *base, const char *id,
    size_t length, uint32_t *ret_resource)
{
    if (!array_grow(&schema->resources, &schema->resource_room, (size_t)schema->resource_count + 1))
        return schema_no_memory(schema);
    char *uri = resolve(base, id, length);
    if (uri == NULL)
        return schema_no_memory(schema);
    schema->resources[schema->resource_count] = (struct resource){.root = json, .base = uri};
    *ret_resource = schema->resource_count++;
    return PDK_OK;
}

static pdk_status index_schema(struct schema *schema, const struct json *json, uint32_t resource);

/* A schema, or each of a list or map of them. */
static pdk_status index_value(struct schema *schema, const struct json *value, bool map, uint32_t resource)
{
    if (!map && value->type != JSON_ARRAY)
        return index_schema(schema, value, resource);
    for (const struct json *one = value->child; one != NULL; one = one->next) {
        pdk_status status = index_schema(schema, one, resource);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static bool is_one_of(const char *const *names, size_t count, const struct json *member)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], member->key) == 0)
            return true;
    }
    return false;
}

/* Recursion is bounded by the document's depth. */
static pdk_status index_schema(struct schema *schema, const struct json *json, uint32_t resource)
{
    if (json->type != JSON_OBJECT)
        return PDK_OK;
    const struct json *id = json_get(json, "$id");
    const char *text;
    pdk_status status = PDK_OK;
    if (id == NULL)
        id = json_get(json, "id"); /* an older draft's, if it looks like one */
    if (id != NULL && json_string(id, &text) && json != schema->root && text[0] != '#') {
        size_t length = until(text, id->length, "#");
        status = add_resource(schema, json, schema->resources[resource].base, text, length, &resource);
    } else if (id != NULL && json_string(id, &text) && text[0] == '#' && text[1] != '\0') {
        if (!array_grow(&schema->anchors, &schema->anchor_room, (size_t)schema->anchor_count + 1))
            return schema_no_memory(schema);
        schema->anchors[schema->anchor_count++] =
            (struct anchor){.resource = resource, .name = text + 1, .schema = json};
    }
    if (status == PDK_OK)
        status = add_place(schema, json, resource);
    if (status == PDK_OK)
        status = add_anchor(schema, json, resource, "$anchor", false);
    if (status == PDK_OK)
        status = add_anchor(schema, json, resource, "$dynamicAnchor", true);
    for (const struct json *member = json->child; member != NULL && status == PDK_OK; member = member->next) {
        if (is_one_of(map_holders, sizeof map_holders / sizeof *map_holders, member)) {
            if (member->type == JSON_OBJECT)
                status = index_value(schema, member, true, resource);
        } else if (is_one_of(schema_holders, sizeof schema_holders / sizeof *schema_holders, member)) {
            status = index_value(schema, member, false, resource);
        }
    }
    return status;
}

pdk_status schema_index(struct schema *schema)
{
    const struct json *id = schema->root->type == JSON_OBJECT ? json_get(schema->root, "$id") : NULL;
    const char *text = "";
    uint32_t resource;
    if (id == NULL && schema->root->type == JSON_OBJECT)
        id = json_get(schema->root, "id");
    if (id != NULL && !json_string(id, &text))
        text = "";
    size_t length = until(text, strlen(text), "#");
    pdk_status status = add_resource(schema, schema->root, "", text, length, &resource);
    if (status == PDK_OK && !rehash_places(schema))
        return schema_no_memory(schema);
    return status != PDK_OK ? status : index_schema(schema, schema->root, resource);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One step of a JSON pointer, with %XX and ~0 ~1 undone, into `out`. */
static void put_step(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%' && length - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        }
        if (c == '~' && length - i > 1 && (text[i + 1] == '0' || text[i + 1] == '1'))
            c = text[++i] == '0' ? '~' : '/';
        buffer_putc(out, c);
    }
}

static const struct json *pointer_step(const struct json *from, const struct buffer *step)
{
    uint32_t index = 0, wanted = 0;
    for (size_t i = 0; from->type == JSON_ARRAY && i < step->length; i++) {
        if (step->data[i] < '0' || step->data[i] > '9' || wanted > 100000000)
            return NULL;
        wanted = wanted * 10 + (uint32_t)(step->data[i] - '0');
    }
    for (const struct json *child = from->child; child != NULL; child = child->next, index++) {
        if (from->type == JSON_ARRAY ? index == wanted && step->length > 0
                                     : child->key_length == step->length &&
                                           (step->length == 0 || memcmp(child->key, step->data, step->length) == 0))
            return child;
    }
    return NULL;
}

/* Follows a JSON pointer; *resource becomes that of the last schema with an $id on the way. */
static pdk_status follow_pointer(struct schema *schema, const struct json *at, const char *pointer, size_t length,
    uint32_t *resource, const struct json **ret_at)
{
    PDK_CLEANUP(buffer_done) struct buffer step = {0};
    *ret_at = NULL;
    while (length > 0 && at != NULL) {
        size_t size = until(pointer + 1, length - 1, "/");
        buffer_clear(&step);
        put_step(&step, pointer + 1, size);
        buffer_putc(&step, '\0');
        if (step.failed)
            return schema_no_memory(schema);
        step.length--;
        at = pointer_step(at, &step);
        pointer += size + 1;
        length -= size + 1;
        const struct schema_place *place = at != NULL ? find_place(schema, at) : NULL;
        if (place != NULL)
            *resource = place->resource;
    }
    *ret_at = at;
    return PDK_OK;
}

/* Of dynamic anchors of one name in several resources the one that counts depends on how validation came here. */
static bool is_dynamic_choice(const struct schema *schema, const struct anchor *found)
{
    if (found == NULL || !found->dynamic)
        return false;
    for (uint32_t i = 0; i < schema->anchor_count; i++) {
        const struct anchor *other = &schema->anchors[i];
        if (other->dynamic && other->resource != found->resource && strcmp(other->name, found->name) == 0)
            return true;
    }
    return false;
}

static const struct anchor *find_anchor(const struct schema *schema, uint32_t resource, const char *name, size_t length)
{
    const struct anchor *found = NULL;
    for (uint32_t i = 0; i < schema->anchor_count; i++) {
        const struct anchor *anchor = &schema->anchors[i];
        if (anchor->resource == resource && strlen(anchor->name) == length && memcmp(anchor->name, name, length) == 0 &&
            (found == NULL || anchor->dynamic))
            found = anchor;
    }
    return found;
}

static pdk_status find_resource(struct schema *schema, const struct json *from, const char *keyword, const char *base,
    const char *text, size_t length, uint32_t *ret_resource)
{
    char *uri = resolve(base, text, length);
    if (uri == NULL)
        return schema_no_memory(schema);
    for (uint32_t i = 0; i < schema->resource_count; i++) {
        if (strcmp(schema->resources[i].base, uri) == 0) {
            *ret_resource = i;
            free(uri);
            return PDK_OK;
        }
    }
    free(uri);
    return schema_fail(schema, PDK_UNSUPPORTED, from, keyword,
        "\"%.*s\" is not in this document, and others are not fetched", (int)(length < 200 ? length : 200), text);
}

pdk_status schema_follow(struct schema *schema, const struct json *from, const struct json *reference,
    const char *keyword, const struct json **ret_schema)
{
    const char *text;
    const struct schema_place *place = find_place(schema, from);
    uint32_t resource = place != NULL ? place->resource : 0;
    if (!json_string(reference, &text))
        return schema_fail(schema, PDK_INVALID, from, keyword, "it must be a string");
    size_t length = until(text, reference->length, "#");
    const char *fragment = text + length + (length < reference->length);
    size_t fragment_length = reference->length - (size_t)(fragment - text);
    pdk_status status = PDK_OK;
    if (length > 0)
        status = find_resource(schema, from, keyword, schema->resources[resource].base, text, length, &resource);
    if (status != PDK_OK)
        return status;
    const struct json *target = schema->resources[resource].root;
    if (fragment_length > 0 && fragment[0] == '/') {
        status = follow_pointer(schema, target, fragment, fragment_length, &resource, &target);
        if (status != PDK_OK)
            return status;
    } else if (fragment_length > 0) {
        const struct anchor *anchor = find_anchor(schema, resource, fragment, fragment_length);
        target = anchor != NULL ? anchor->schema : NULL;
        if (strcmp(keyword, "$dynamicRef") == 0 && is_dynamic_choice(schema, anchor))
            return schema_fail(schema, PDK_UNSUPPORTED, from, keyword,
                "several schemas have the dynamic anchor \"%.100s\"", anchor->name);
    }
    if (target == NULL)
        return schema_fail(schema, PDK_INVALID, from, keyword, "\"%.200s\" leads to nothing in this document", text);
    /* What lies under keywords that are not known is no subschema until a reference makes it one. */
    if (target->type == JSON_OBJECT && find_place(schema, target) == NULL)
        status = index_schema(schema, target, resource);
    if (status == PDK_OK)
        *ret_schema = target;
    return status;
}
