/* One pass, one arena, no recursion: the open container is kept by its node, whose parents stand on a fixed stack.
 * Duplicate keys of small objects are found by comparing, of large ones through a table keyed at random. */
#include "config.h"

#include "core/base/json.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 256, CHUNK_BYTES = 16384, KEYS_COMPARED = 16 };

const struct json_limits json_limits_default = {.bytes = 8u << 20, .depth = 64, .nodes = 1000000};

struct chunk {
    struct chunk *next;
    size_t used, room;
    _Alignas(16) char data[];
};

struct json_document {
    struct chunk *chunks;
    struct json *root;
};

struct open_container {
    struct json *node;
    struct json *last;
    const struct json **keys; /* open addressing, once there are more than KEYS_COMPARED */
    size_t key_room;
};

struct reader {
    const char *text;
    size_t length, at;
    uint32_t line;
    size_t line_start;
    const struct json_limits *limits;
    struct json_document *document;
    struct siphash_key key;
    struct open_container stack[DEPTH_MAX];
    size_t depth, nodes;
    pdk_error *err;
};

static void *arena_take(struct json_document *document, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    struct chunk *chunk = document->chunks;
    if (chunk == NULL || chunk->room - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        if (room > SIZE_MAX - sizeof *chunk)
            return NULL;
        chunk = malloc(sizeof *chunk + room);
        if (chunk == NULL)
            return NULL;
        *chunk = (struct chunk){.next = document->chunks, .room = room};
        document->chunks = chunk;
    }
    void *taken = chunk->data + chunk->used;
    chunk->used += bytes;
    return taken;
}

static pdk_status fail(struct reader *r, const char *what)
{
    return pdk_error_set(r->err, PDK_INVALID, "json", "%s at line %u, column %zu (byte %zu)", what, r->line,
        r->at - r->line_start + 1, r->at);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->length) {
        char c = r->text[r->at];
        if (c == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
        r->at++;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool hex4(struct reader *r, uint32_t *ret_code)
{
    if (r->length - r->at < 4)
        return false;
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(r->text[r->at + (size_t)i]);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    r->at += 4;
    *ret_code = code;
    return true;
}

/* r->at stands behind the backslash. Writes up to 4 bytes. */
static pdk_status read_escape(struct reader *r, char *out, size_t *length)
{
    if (r->at >= r->length)
        return fail(r, "unterminated string");
    char c = r->text[r->at++];
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found != NULL) {
        out[(*length)++] = to[found - from];
        return PDK_OK;
    }
    uint32_t code;
    if (c != 'u' || !hex4(r, &code))
        return fail(r, "bad escape");
    if (code >= 0xD800 && code <= 0xDBFF) {
        uint32_t low;
        if (r->length - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u')
            return fail(r, "half a surrogate pair");
        r->at += 2;
        if (!hex4(r, &low) || low < 0xDC00 || low > 0xDFFF)
            return fail(r, "half a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return fail(r, "half a surrogate pair");
    } else if (code == 0 && !r->limits->allow_nul) {
        return fail(r, "\\u0000 is not allowed");
    }
    *length += utf8_encode(code, out + *length);
    return PDK_OK;
}

/* r->at stands behind the opening quote. */
static pdk_status read_string(struct reader *r, const char **ret_text, size_t *ret_length)
{
    size_t end = r->at;
    while (end < r->length && r->text[end] != '"')
        end += r->text[end] == '\\' ? 2 : 1;
    if (end >= r->length)
        return fail(r, "unterminated string");
    char *out = arena_take(r->document, end - r->at + 1); /* an escape is never shorter than what it stands for */
    if (out == NULL)
        return pdk_error_set(r->err, PDK_NO_MEMORY, "json", "no memory for the document");
    size_t length = 0;
    while (r->text[r->at] != '"') {
        unsigned char c = (unsigned char)r->text[r->at];
        if (c == '\\') {
            r->at++;
            pdk_status status = read_escape(r, out, &length);
            if (status != PDK_OK)
                return status;
        } else if (c < 0x20) {
            return fail(r, "control character in a string");
        } else if (c < 0x80) {
            out[length++] = (char)c;
            r->at++;
        } else {
            uint32_t code;
            size_t step = utf8_decode(r->text + r->at, r->length - r->at, &code);
            if (step == 0)
                return fail(r, "invalid UTF-8");
            memcpy(out + length, r->text + r->at, step);
            length += step;
            r->at += step;
        }
    }
    r->at++;
    out[length] = '\0';
    *ret_text = out;
    *ret_length = length;
    return PDK_OK;
}

static size_t digits(struct reader *r)
{
    size_t start = r->at;
    while (r->at < r->length && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
    return r->at - start;
}

static pdk_status read_number(struct reader *r, struct json *node)
{
    size_t start = r->at;
    if (r->text[r->at] == '-')
        r->at++;
    size_t first = r->at;
    size_t whole = digits(r);
    if (whole == 0 || (whole > 1 && r->text[first] == '0'))
        return fail(r, "not a number");
    bool real = false;
    if (r->at < r->length && r->text[r->at] == '.') {
        r->at++;
        real = true;
        if (digits(r) == 0)
            return fail(r, "not a number");
    }
    if (r->at < r->length && (r->text[r->at] == 'e' || r->text[r->at] == 'E')) {
        r->at++;
        real = true;
        if (r->at < r->length && (r->text[r->at] == '+' || r->text[r->at] == '-'))
            r->at++;
        if (digits(r) == 0)
            return fail(r, "not a number");
    }
    size_t length = r->at - start;
    if (length > 1024)
        return fail(r, "number of over 1024 characters");
    char *out = arena_take(r->document, length + 1);
    if (out == NULL)
        return pdk_error_set(r->err, PDK_NO_MEMORY, "json", "no memory for the document");
    memcpy(out, r->text + start, length);
    out[length] = '\0';
    if ((real || length > 300) && !isfinite(strtod(out, NULL)))
        return fail(r, "number out of range");
    node->type = JSON_NUMBER;
    node->text = out;
    node->length = length;
    return PDK_OK;
}

static bool literal(struct reader *r, const char *word)
{
    size_t length = strlen(word);
    if (r->length - r->at < length || memcmp(r->text + r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

static bool read_nan(struct reader *r, struct json *node)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < 3; i++)
        if (literal(r, words[i])) {
            node->type = JSON_NUMBER;
            node->text = words[i];
            node->length = strlen(words[i]);
            return true;
        }
    return false;
}

static bool same_key(const struct json *a, const struct json *b)
{
    return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

/* PDK_CONFLICT when `node`'s key is there already; PDK_NO_MEMORY. */
static pdk_status remember_key(struct reader *r, struct open_container *open, const struct json *node)
{
    if (open->node->count < KEYS_COMPARED) {
        for (const struct json *other = open->node->child; other != NULL; other = other->next)
            if (same_key(other, node))
                return PDK_CONFLICT;
        return PDK_OK;
    }
    if ((open->node->count + 1) * 2 > open->key_room) {
        size_t room = open->key_room == 0 ? 128 : open->key_room * 2;
        const struct json **keys = calloc(room, sizeof(const struct json *));
        if (keys == NULL)
            return PDK_NO_MEMORY;
        for (const struct json *other = open->node->child; other != NULL; other = other->next) {
            size_t slot = siphash64(&r->key, other->key, other->key_length) & (room - 1);
            while (keys[slot] != NULL)
                slot = (slot + 1) & (room - 1);
            keys[slot] = other;
        }
        free(open->keys);
        open->keys = keys;
        open->key_room = room;
    }
    size_t slot = siphash64(&r->key, node->key, node->key_length) & (open->key_room - 1);
    for (; open->keys[slot] != NULL; slot = (slot + 1) & (open->key_room - 1))
        if (same_key(open->keys[slot], node))
            return PDK_CONFLICT;
    open->keys[slot] = node;
    return PDK_OK;
}

static pdk_status attach(struct reader *r, struct json *node)
{
    if (r->depth == 0) {
        r->document->root = node;
        return PDK_OK;
    }
    struct open_container *open = &r->stack[r->depth - 1];
    if (open->node->type == JSON_OBJECT) {
        pdk_status status = remember_key(r, open, node);
        if (status == PDK_NO_MEMORY)
            return pdk_error_set(r->err, status, "json", "no memory for the document");
        if (status != PDK_OK)
            return pdk_error_set(r->err, PDK_INVALID, "json", "duplicate key '%.64s' at line %u, column %u (byte %zu)",
                node->key, node->line, node->column, r->at);
    }
    if (open->last == NULL)
        open->node->child = node;
    else
        open->last->next = node;
    open->last = node;
    open->node->count++;
    return PDK_OK;
}

static pdk_status read_key(struct reader *r, const char **ret_key, size_t *ret_length)
{
    if (r->at >= r->length || r->text[r->at] != '"')
        return fail(r, "expected a key in quotes");
    r->at++;
    pdk_status status = read_string(r, ret_key, ret_length);
    if (status != PDK_OK)
        return status;
    skip_space(r);
    if (r->at >= r->length || r->text[r->at] != ':')
        return fail(r, "expected ':'");
    r->at++;
    skip_space(r);
    return PDK_OK;
}

/* Reads a scalar, or the opening of a container. */
static pdk_status read_value(struct reader *r, struct json *node)
{
    char c = r->at < r->length ? r->text[r->at] : '\0';
    if (r->limits->allow_nan && read_nan(r, node))
        return PDK_OK;
    if (c == '{' || c == '[') {
        node->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        r->at++;
        return PDK_OK;
    }
    if (c == '"') {
        node->type = JSON_STRING;
        r->at++;
        return read_string(r, &node->text, &node->length);
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r, node);
    if (literal(r, "true"))
        node->type = JSON_TRUE;
    else if (literal(r, "false"))
        node->type = JSON_FALSE;
    else if (literal(r, "null"))
        node->type = JSON_NULL;
    else
        return fail(r, r->at >= r->length ? "unexpected end" : "expected a value");
    return PDK_OK;
}

static pdk_status open_container(struct reader *r, struct json *node)
{
    if (r->depth >= r->limits->depth || r->depth >= DEPTH_MAX)
        return pdk_error_set(
            r->err, PDK_INVALID, "json", "nested deeper than %zu levels at byte %zu", r->limits->depth, r->at);
    r->stack[r->depth++] = (struct open_container){.node = node};
    return PDK_OK;
}

static void close_container(struct reader *r)
{
    free(r->stack[--r->depth].keys);
}

/* After a value: closes what ends here. True while the document goes on. */
static pdk_status next_value(struct reader *r, bool *ret_more)
{
    for (;;) {
        skip_space(r);
        if (r->depth == 0) {
            *ret_more = false;
            return PDK_OK;
        }
        char end = r->stack[r->depth - 1].node->type == JSON_OBJECT ? '}' : ']';
        char c = r->at < r->length ? r->text[r->at] : '\0';
        if (c == end) {
            r->at++;
            close_container(r);
            continue;
        }
        if (c != ',')
            return fail(r, r->at >= r->length ? "unexpected end"
                           : end == '}'       ? "expected ',' or '}'"
                                              : "expected ',' or ']'");
        r->at++;
        skip_space(r);
        *ret_more = true;
        return PDK_OK;
    }
}

static pdk_status read_document(struct reader *r)
{
    skip_space(r);
    for (bool more = true; more;) {
        if (++r->nodes > r->limits->nodes)
            return pdk_error_set(r->err, PDK_TOO_LARGE, "json", "more than %zu values", r->limits->nodes);
        struct json *node = arena_take(r->document, sizeof *node);
        if (node == NULL)
            return pdk_error_set(r->err, PDK_NO_MEMORY, "json", "no memory for the document");
        *node = (struct json){.line = r->line, .column = (uint32_t)(r->at - r->line_start + 1)};
        pdk_status status = PDK_OK;
        if (r->depth > 0 && r->stack[r->depth - 1].node->type == JSON_OBJECT)
            status = read_key(r, &node->key, &node->key_length);
        if (status == PDK_OK)
            status = read_value(r, node);
        if (status == PDK_OK)
            status = attach(r, node);
        if (status != PDK_OK)
            return status;
        if (node->type == JSON_OBJECT || node->type == JSON_ARRAY) {
            status = open_container(r, node);
            if (status != PDK_OK)
                return status;
            skip_space(r);
            if (r->at >= r->length || r->text[r->at] != (node->type == JSON_OBJECT ? '}' : ']'))
                continue;
            r->at++;
            close_container(r);
        }
        status = next_value(r, &more);
        if (status != PDK_OK)
            return status;
    }
    return r->at == r->length ? PDK_OK : fail(r, "trailing characters");
}

pdk_status json_read(const char *text, size_t length, const struct json_limits *limits,
    struct json_document **ret_document, pdk_error *err)
{
    if (length > limits->bytes)
        return pdk_error_set(err, PDK_TOO_LARGE, "json", "%zu bytes; the limit is %zu", length, limits->bytes);
    struct reader *r = malloc(sizeof *r); /* too large for the stack of CivetWeb's threads */
    struct json_document *document = json_document_new();
    if (r == NULL || document == NULL) {
        free(r);
        json_document_free(document);
        return pdk_error_set(err, PDK_NO_MEMORY, "json", "no memory for the document");
    }
    r->text = text;
    r->length = length;
    r->at = 0;
    r->line = 1;
    r->line_start = 0;
    r->limits = limits;
    r->document = document;
    r->key = siphash_random_key();
    r->depth = r->nodes = 0;
    r->err = err;
    pdk_status status = read_document(r);
    while (r->depth > 0)
        close_container(r);
    free(r);
    if (status != PDK_OK) {
        json_document_free(document);
        return status;
    }
    *ret_document = document;
    return PDK_OK;
}

struct json_document *json_document_new(void)
{
    return calloc(1, sizeof(struct json_document));
}

struct json_document *json_document_free(struct json_document *document)
{
    while (document != NULL && document->chunks != NULL) {
        struct chunk *next = document->chunks->next;
        free(document->chunks);
        document->chunks = next;
    }
    free(document);
    return NULL;
}

void json_document_freep(struct json_document **document)
{
    json_document_free(*document);
}

const struct json *json_root(const struct json_document *document)
{
    return document->root;
}

static const char *arena_copy(struct json_document *document, const char *text, size_t length)
{
    char *copy = arena_take(document, length + 1);
    if (copy == NULL)
        return NULL;
    if (length != 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

struct json *json_add(struct json_document *document, struct json *parent, enum json_type type, const char *key,
    size_t key_length, const char *text, size_t length)
{
    struct json *node = arena_take(document, sizeof *node);
    if (node == NULL)
        return NULL;
    *node = (struct json){.type = type};
    if (key != NULL && (node->key = arena_copy(document, key, key_length)) == NULL)
        return NULL;
    node->key_length = key_length;
    if (text != NULL && (node->text = arena_copy(document, text, length)) == NULL)
        return NULL;
    node->length = length;
    if (parent == NULL) {
        document->root = node;
        return node;
    }
    struct json **end = parent->last != NULL ? &parent->last->next : &parent->child;
    while (*end != NULL)
        end = &(*end)->next;
    *end = parent->last = node;
    parent->count++;
    return node;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    size_t length = strlen(key);
    for (const struct json *member = object->child; member != NULL; member = member->next)
        if (member->key_length == length && memcmp(member->key, key, length) == 0)
            return member;
    return NULL;
}

const struct json *json_path(const struct json *object, const char *path)
{
    char key[128];
    while (object != NULL) {
        size_t length = strcspn(path, ".");
        if (length >= sizeof key)
            return NULL;
        memcpy(key, path, length);
        key[length] = '\0';
        object = json_get(object, key);
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    return object;
}

bool json_string(const struct json *value, const char **ret_text)
{
    if (value == NULL || value->type != JSON_STRING || memchr(value->text, '\0', value->length) != NULL)
        return false;
    *ret_text = value->text;
    return true;
}

bool json_bool(const struct json *value, bool *ret_value)
{
    if (value == NULL || (value->type != JSON_TRUE && value->type != JSON_FALSE))
        return false;
    *ret_value = value->type == JSON_TRUE;
    return true;
}

/* Magnitude and sign of a number's text when it is a whole number below 2^64. */
static bool whole_number(const struct json *value, uint64_t *ret_magnitude, bool *ret_negative)
{
    if (value == NULL || value->type != JSON_NUMBER ||
        (value->text[0] != '-' && (value->text[0] < '0' || value->text[0] > '9')))
        return false;
    const char *at = value->text;
    bool negative = *at == '-';
    at += negative;
    uint64_t magnitude = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*at - '0'), &magnitude))
            return false;
    if (*at != '\0') {
        double real = strtod(value->text, NULL);
        if (real != trunc(real) || fabs(real) > 9007199254740992.0)
            return false;
        magnitude = (uint64_t)fabs(real);
    }
    *ret_magnitude = magnitude;
    *ret_negative = negative;
    return true;
}

bool json_int64(const struct json *value, int64_t *ret_value)
{
    uint64_t magnitude;
    bool negative;
    if (!whole_number(value, &magnitude, &negative) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool json_uint64(const struct json *value, uint64_t *ret_value)
{
    uint64_t magnitude;
    bool negative;
    if (!whole_number(value, &magnitude, &negative) || (negative && magnitude != 0))
        return false;
    *ret_value = magnitude;
    return true;
}

bool json_double(const struct json *value, double *ret_value)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return false;
    *ret_value = strtod(value->text, NULL); /* reads NaN and Infinity too; no locale is ever set */
    return true;
}

const char *json_type_name(const struct json *value)
{
    static const char *const names[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};
    return value == NULL ? "nothing" : names[value->type];
}
