/* Arguments, a line each, by the huggingface runtime's table: an error names its field and says something, and what is
 * read is within the table's limits. */
#include "config.h"

#include "core/base/options.h"
#include "runtimes/huggingface/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct options *options)
{
    for (size_t i = 0; i < huggingface_options.count; i++) {
        const pdk_option *row = &huggingface_options.options[i];
        if (!options_given(options, row->name))
            continue;
        size_t count = 0;
        const char *const *words = options_words(options, row->name, &count);
        for (size_t k = 0; k < count; k++)
            assert(words[k] != NULL && strlen(words[k]) < 1 << 20);
        bool numeric = row->type == PDK_OPTION_INTEGER || row->type == PDK_OPTION_NUMBER;
        double number = options_number(options, row->name);
        if (numeric)
            assert(number >= row->minimum && number <= row->maximum);
        if (row->type == PDK_OPTION_INTEGER)
            assert((double)options_integer(options, row->name) == number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    const char *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    for (char *at = text; at != NULL && count < ARGUMENTS_MAX;) {
        char *end = strchr(at, '\n');
        if (end != NULL)
            *end = '\0';
        arguments[count++] = at;
        at = end != NULL ? end + 1 : NULL;
    }
    struct options *options = NULL;
    pdk_error err = {0};
    pdk_status status = options_parse(&huggingface_options, arguments, count, &options, &err);
    if (status != PDK_OK) {
        assert(options == NULL && err.status == status && err.message[0] != '\0');
    } else {
        read_back(options);
        options_free(options);
    }
    free(text);
    return 0;
}
