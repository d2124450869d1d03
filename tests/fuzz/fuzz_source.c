/* A source that is accepted holds only names that are safe as paths; a hub's listing picks only such files. */
#include "config.h"

#include "core/base/json.h"
#include "core/fetch/hub.h"
#include "core/fetch/source.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    struct source source;
    pdk_error err = {0};
    pdk_status status = source_parse(text, &source, &err);
    if (status != PDK_OK)
        assert(err.status == status && err.message[0] != '\0');
    else if (source.kind == SOURCE_HUB)
        assert(source_safe_name(source.owner) && source_safe_name(source.name) && source_safe_name(source.revision) &&
               (source.file[0] == '\0' || source_safe_name(source.file)));
    struct json_document *document = NULL;
    if (json_read(text, size, &json_limits_default, &document, NULL) == PDK_OK) {
        struct hub_listing listing = {0};
        if (hub_pick(json_root(document), "", &listing, &err) == PDK_OK)
            for (size_t i = 0; i < listing.count; i++)
                assert(source_safe_name(listing.files[i].name));
        hub_listing_done(&listing);
        json_document_free(document);
    }
    free(text);
    return 0;
}
