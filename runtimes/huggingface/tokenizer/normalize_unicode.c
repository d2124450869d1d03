/* Unicode's normal forms, a stretch at a time, so that memory stays small and marks can be kept: a stretch starts at
 * ASCII or, once it is long, at a letter that composes with nothing before it. utf8proc puts marks in order by
 * exchanging neighbours, which a long run of marks makes quadratic; so a run is cut after STRETCH_MARKS. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/normalize.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { STRETCH_BYTES = 4096, STRETCH_MARKS = 64 };

static bool starts_stretch(uint32_t code, size_t bytes, size_t marks)
{
    if (code < 0x80 || marks > STRETCH_MARKS)
        return true;
    bool jamo = code >= 0x1100 && code <= 0x11FF;
    return bytes >= STRETCH_BYTES && !jamo && char_category(code) <= UTF8PROC_CATEGORY_LO;
}

static size_t stretch_end(const char *text, size_t start, size_t length)
{
    size_t marks = 0;
    for (size_t i = start; i < length;) {
        uint32_t code = 0;
        size_t size = utf8_decode(text + i, length - i, &code);
        if (i > start && starts_stretch(code, i - start, marks))
            return i;
        marks = utf8proc_get_property((utf8proc_int32_t)code)->combining_class != 0 ? marks + 1 : 0;
        i += size;
    }
    return length;
}

struct stretch {
    utf8proc_int32_t *codes;
    size_t room;
};

static pdk_status put_form(
    int form, struct stretch *work, const char *text, size_t length, struct marked_text *out, char mark, pdk_error *err)
{
    for (;;) {
        utf8proc_ssize_t count = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length,
            work->codes, (utf8proc_ssize_t)work->room, (utf8proc_option_t)(form | UTF8PROC_STABLE));
        if (count < 0)
            return pdk_error_set(err, PDK_INVALID, "prompt", "cannot be normalised: %s", utf8proc_errmsg(count));
        if ((size_t)count <= work->room && work->room > 0) {
            count = utf8proc_normalize_utf32(work->codes, count, (utf8proc_option_t)(form | UTF8PROC_STABLE));
            for (utf8proc_ssize_t i = 0; i < count; i++) {
                char bytes[4];
                marked_text_put(out, bytes, utf8_encode((uint32_t)work->codes[i], bytes), mark);
            }
            return PDK_OK;
        }
        if (!array_grow(&work->codes, &work->room, (size_t)count + 1))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
}

pdk_status normalize_form(
    const struct normalizer *step, const struct marked_text *in, struct marked_text *out, size_t limit, pdk_error *err)
{
    struct stretch work = {0};
    pdk_status status = PDK_OK;
    const char *text = in->text.data;
    for (size_t i = 0; i < in->text.length && status == PDK_OK;) {
        size_t end = stretch_end(text, i, in->text.length);
        char mark = in->tracked && memchr(in->marks.data + i, 1, end - i) != NULL;
        if (end == i + 1) /* ASCII alone */
            marked_text_put(out, text + i, 1, mark);
        else
            status = put_form(step->form, &work, text + i, end - i, out, mark, err);
        if (status == PDK_OK)
            status = normalize_check(out, limit, err);
        i = end;
    }
    free(work.codes);
    return status;
}
