/* What json_read accepts prints as JSON that reads back to the same text. */
#include "config.h"

#include "core/base/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_limits limits = {.bytes = 1 << 20, .depth = 64, .nodes = 20000};
    struct json_document *document = NULL, *again = NULL;
    pdk_error err = {0};
    pdk_status status = json_read((const char *)data, size, &limits, &document, &err);
    if (status != PDK_OK) {
        assert(err.status == status && err.message[0] != '\0' && document == NULL);
        return 0;
    }
    struct buffer once = {0}, twice = {0};
    json_print(&once, json_root(document));
    limits.bytes = once.length;
    status = json_read(once.data, once.length, &limits, &again, &err);
    assert(status == PDK_OK);
    json_print(&twice, json_root(again));
    assert(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
    buffer_done(&once);
    buffer_done(&twice);
    json_document_free(document);
    json_document_free(again);
    return 0;
}
