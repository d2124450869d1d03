/* A pattern compiles within its budget or is refused in words. What it surely matches it perhaps matches; a set, its
 * opposite and both together share the texts among them. The first line is the pattern, the rest a text. */
#include "config.h"

#include "core/base/clock.h"
#include "runtimes/huggingface/guided/regular.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct regular_budget budget = {.states = 2000, .deadline_ms = thread_ms() + 300};
    struct regular *set = NULL, *loose = NULL, *inverse = NULL, *none = NULL;
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t length = line != NULL ? (size_t)(line - data) : size;
    const char *text = line != NULL ? (const char *)line + 1 : "";
    size_t text_length = line != NULL ? size - length - 1 : 0;
    pdk_error err = {0};
    pdk_status status = regular_of_regex((const char *)data, length, REGEX_SEARCH, &budget, &set, &err);
    if (status != PDK_OK) {
        assert(err.status == status && err.message[0] != '\0' && set == NULL);
        return 0;
    }
    bool has = regular_has(set, text, text_length);
    if (regular_of_regex_loosely((const char *)data, length, REGEX_SEARCH, &budget, &loose, NULL) == PDK_OK)
        assert(!has || regular_has(loose, text, text_length));
    status = regular_not(set, &inverse, NULL);
    assert(status == PDK_OK && (!has || !regular_has(inverse, text, text_length)));
    if (regular_both(set, inverse, &budget, &none, NULL) == PDK_OK)
        assert(regular_is_empty(none));
    regular_free(set);
    regular_free(loose);
    regular_free(inverse);
    regular_free(none);
    return 0;
}
