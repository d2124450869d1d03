/* See the header. */
#include "config.h"

#include "core/spec/aliases.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/nearest.h"
#include "core/spec/conf.h"

#include <string.h>

pdk_status alias_find(const char *path, const char *name, struct buffer *out, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *tree = NULL;
    pdk_status status = file_read(path, 1u << 20, &text, err);
    if (status != PDK_OK)
        return status;
    status = conf_read(text.data != NULL ? text.data : "", text.length, &tree, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", path);
    const struct json *rows = json_get(json_root(tree), "aliases");
    struct nearest nearest = nearest_to(name);
    for (const struct json *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
        const char *key, *uri;
        if (!json_string(json_get(row, "name"), &key) || !json_string(json_get(row, "uri"), &uri))
            return pdk_error_set(
                err, PDK_INVALID, "aliases", "%s:%u: a row wants name and uri, both texts", path, row->line);
        nearest_offer(&nearest, key);
        if (strcmp(key, name) != 0)
            continue;
        buffer_puts(out, uri);
        return PDK_OK;
    }
    return pdk_error_value(
        err, PDK_NOT_FOUND, "aliases", name, "%s has no name '%.64s'%s", path, name, nearest_hint(&nearest));
}
