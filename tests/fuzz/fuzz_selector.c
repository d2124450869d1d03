/* A labelSelector and a fieldSelector, one a line, over one object. */
#include "config.h"

#include "core/gateway/resources/selector.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char object[] =
        "{\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":\"1\",\"\":\"e\"}},\"status\":{\"phase\":\"Running\"}}";
    struct json_document *document = NULL;
    pdk_error err = {0};
    if (json_read(object, sizeof object - 1, &json_limits_default, &document, &err) != PDK_OK)
        return 0;
    char *text = calloc(1, size + 2);
    if (text != NULL) {
        memcpy(text, data, size);
        char *fields = strchr(text, '\n');
        if (fields != NULL)
            *fields++ = '\0';
        bool matches;
        pdk_status status = selector_match(text, fields != NULL ? fields : "", json_root(document), &matches, &err);
        assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    }
    free(text);
    json_document_free(document);
    return 0;
}
