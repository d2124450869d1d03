/* A value comes to the same in pieces and in one; what it comes to is JSON that comes to itself. */
#include "config.h"

#include "runtimes/huggingface/tools/value_scan.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum value_end in_pieces(enum value_form form, const char *text, size_t length, struct buffer *out)
{
    struct value_scan scan;
    enum value_end end = VALUE_MORE;
    value_scan_init(&scan, form);
    for (size_t at = 0; at <= length && end == VALUE_MORE; at++) {
        size_t taken = 0;
        end = value_scan_read(&scan, at < length ? text + at : "", at < length, at == length, &taken, out);
        if (taken == 0 && at < length && end == VALUE_MORE)
            break; /* it takes all it is given, or says why not */
    }
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    for (int form = VALUE_JSON; form <= VALUE_PYTHON; form++) {
        struct buffer whole = {0}, pieces = {0}, again = {0};
        struct value_scan scan;
        size_t taken = 0;
        value_scan_init(&scan, (enum value_form)form);
        enum value_end end = value_scan_read(&scan, size > 0 ? text : "", size, true, &taken, &whole);
        assert(end != VALUE_MORE && taken <= size);
        assert(in_pieces((enum value_form)form, text, size, &pieces) == end);
        assert(
            whole.length == pieces.length && (whole.length == 0 || memcmp(whole.data, pieces.data, whole.length) == 0));
        if (end == VALUE_DONE && form != VALUE_RAW && whole.length > 0) {
            assert(
                value_scan_all(VALUE_JSON, whole.data, whole.length, &again) || strstr(whole.data, "Infinity") != NULL);
            if (again.length > 0)
                assert(again.length == whole.length && memcmp(again.data, whole.data, whole.length) == 0);
        }
        buffer_done(&whole);
        buffer_done(&pieces);
        buffer_done(&again);
    }
    return 0;
}
