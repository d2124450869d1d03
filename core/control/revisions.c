/* See the header. */
#include "config.h"

#include "core/control/revisions.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/siphash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 8 << 20 };

static pdk_status out_of_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "services", "no memory for the services");
}

void revisions_done(struct revisions *revisions)
{
    for (size_t i = 0; i < revisions->count; i++)
        free(revisions->rows[i].key);
    free(revisions->rows);
    *revisions = (struct revisions){0};
}

static pdk_status append(struct revisions *revisions, const struct revision_row *row, pdk_error *err)
{
    char *key = strdup(row->key);
    if (key == NULL || !array_grow(&revisions->rows, &revisions->room, revisions->count + 1)) {
        free(key);
        return out_of_memory(err);
    }
    struct revision_row *to = &revisions->rows[revisions->count++];
    *to = *row;
    to->key = key;
    return PDK_OK;
}

pdk_status revisions_copy(const struct revisions *from, struct revisions *to, pdk_error *err)
{
    for (size_t i = 0; i < from->count; i++) {
        pdk_status status = append(to, &from->rows[i], err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* What the file's checksum covers: the array as it prints. */
static uint64_t checksum(const char *text, size_t length)
{
    static const struct siphash_key fixed = {0};
    return siphash64(&fixed, text, length);
}

static bool read_hex(const struct json *value, uint64_t *ret_number)
{
    const char *text;
    if (!json_string(value, &text) || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *ret_number = strtoull(text, NULL, 16);
    return true;
}

static bool read_row(const struct json *value, struct revision_row *row)
{
    const char *key;
    uint64_t revision;
    if (!json_string(json_get(value, "key"), &key) || !json_int64(json_get(value, "created"), &row->created) ||
        !json_uint64(json_get(value, "generation"), &row->generation) ||
        !json_uint64(json_get(value, "revision"), &revision) || revision == 0 || revision > UINT32_MAX ||
        !read_hex(json_get(value, "spec"), &row->spec_hash) ||
        !read_hex(json_get(value, "template"), &row->template_hash))
        return false;
    row->key = (char *)key; /* append copies it */
    row->revision = (uint32_t)revision;
    return true;
}

static bool is_sound(const struct json *root)
{
    uint64_t wanted;
    const struct json *services = json_get(root, "services");
    if (services == NULL || services->type != JSON_ARRAY || !read_hex(json_get(root, "checksum"), &wanted))
        return false;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    json_print(&text, services);
    return !text.failed && checksum(text.data, text.length) == wanted;
}

static void set_aside(const char *path, const char *why)
{
    char aside[4096];
    snprintf(aside, sizeof aside, "%s.corrupt", path);
    rename(path, aside);
    log_event(LOG_LEVEL_WARNING, NULL, "%s is damaged (%s) and was set aside as %s; services are numbered anew", path,
        why, aside);
}

pdk_status revisions_read(struct revisions *revisions, const char *path, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *tree = NULL;
    pdk_error why = {0};
    pdk_status status = file_read(path, FILE_BYTES_MAX, &text, err);
    if (status == PDK_NOT_FOUND)
        return PDK_OK;
    if (status != PDK_OK)
        return status;
    if (text.data == NULL || json_read(text.data, text.length, &json_limits_default, &tree, &why) != PDK_OK) {
        set_aside(path, text.data == NULL ? "it is empty" : why.message);
        return PDK_OK;
    }
    if (!is_sound(json_root(tree))) {
        set_aside(path, "its checksum does not fit");
        return PDK_OK;
    }
    for (const struct json *at = json_get(json_root(tree), "services")->child; at != NULL; at = at->next) {
        struct revision_row row = {0};
        if (!read_row(at, &row))
            continue;
        status = append(revisions, &row, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static void write_hex(struct json_writer *w, const char *key, uint64_t number)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016" PRIx64, number);
    json_write_key(w, key);
    json_write_string(w, hex);
}

static void write_row(struct json_writer *w, const struct revision_row *row)
{
    json_write_object(w);
    json_write_key(w, "key");
    json_write_string(w, row->key);
    json_write_key(w, "created");
    json_write_int(w, row->created);
    json_write_key(w, "generation");
    json_write_uint(w, row->generation);
    json_write_key(w, "revision");
    json_write_uint(w, row->revision);
    write_hex(w, "spec", row->spec_hash);
    write_hex(w, "template", row->template_hash);
    json_write_end_object(w);
}

pdk_status revisions_write(const struct revisions *revisions, const char *path, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer rows = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct json_writer w = {.out = &rows};
    json_write_array(&w);
    for (size_t i = 0; i < revisions->count; i++)
        write_row(&w, &revisions->rows[i]);
    json_write_end_array(&w);
    if (rows.failed)
        return out_of_memory(err);
    buffer_printf(
        &text, "{\"checksum\":\"%016" PRIx64 "\",\"services\":%s}\n", checksum(rows.data, rows.length), rows.data);
    if (text.failed)
        return out_of_memory(err);
    return file_replace(path, text.data, text.length, 0600, err);
}

pdk_status revisions_note(struct revisions *revisions, const char *key, uint64_t spec_hash, uint64_t template_hash,
    int64_t now, const struct revision_row **ret_row, pdk_error *err)
{
    struct revision_row *row = NULL;
    for (size_t i = 0; i < revisions->count; i++)
        if (strcmp(revisions->rows[i].key, key) == 0)
            row = &revisions->rows[i];
    if (row == NULL) {
        struct revision_row fresh = {.key = (char *)key,
            .created = now,
            .generation = 1,
            .revision = 1,
            .spec_hash = spec_hash,
            .template_hash = template_hash};
        pdk_status status = append(revisions, &fresh, err);
        if (status != PDK_OK)
            return status;
        row = &revisions->rows[revisions->count - 1];
    }
    row->generation += row->spec_hash != spec_hash;
    row->revision += row->template_hash != template_hash;
    row->spec_hash = spec_hash;
    row->template_hash = template_hash;
    row->seen = true;
    *ret_row = row;
    return PDK_OK;
}

void revisions_prune(struct revisions *revisions)
{
    size_t kept = 0;
    for (size_t i = 0; i < revisions->count; i++) {
        if (!revisions->rows[i].seen) {
            free(revisions->rows[i].key);
            continue;
        }
        revisions->rows[kept] = revisions->rows[i];
        revisions->rows[kept++].seen = false;
    }
    revisions->count = kept;
}
