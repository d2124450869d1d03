/* The first line of the input names a format of tool calls, one of reasoning and the bytes of a piece ("hermes qwen3
 * 3"); the rest is an answer. It comes to the same in pieces and in one; a text without calls is all given out; a whole
 * answer is either calls that ended or content. */
#include "config.h"

#include "runtimes/huggingface/tools/reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tools[] =
    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"integer\"},"
    "\"b\":{\"type\":[\"object\",\"null\"]}}}}}]";

/* Special tokens stand between '\x01' and '\x02' here, as the reader's own marks are no text. */
static void read_all(const struct reader_spec *spec, const char *text, size_t length, size_t piece, struct buffer *out)
{
    struct reader *reader = NULL;
    if (reader_new(spec, &reader, NULL) != PDK_OK)
        abort();
    for (size_t at = 0; at < length;) {
        const char *close = text[at] == 1 ? memchr(text + at, 2, length - at) : NULL;
        bool special = close != NULL;
        size_t end = special ? (size_t)(close - text) + 1 : at + piece;
        const char *next = memchr(text + at + 1, 1, length - at - 1);
        if (!special && next != NULL && (size_t)(next - text) < end)
            end = (size_t)(next - text);
        end = end > length ? length : end;
        reader_add(reader, text + at + special, end - at - 2 * (size_t)special, special);
        at = end;
    }
    reader_end(reader);
    assert(!reader_failed(reader));
    struct deltas *deltas = reader_deltas(reader);
    const pdk_delta *list = deltas_show(deltas);
    uint32_t calls = 0;
    for (size_t i = 0; i < deltas->count; i++) {
        if (list[i].kind == PDK_DELTA_CALL)
            assert(list[i].call == calls++ && list[i].text.length > 0);
        else
            assert(list[i].text.length > 0);
        assert(list[i].kind != PDK_DELTA_ARGUMENTS || list[i].call + 1 == calls);
        buffer_printf(out, "%d:%u:", (int)list[i].kind, (unsigned)list[i].call);
        buffer_put(out, list[i].text.data, list[i].text.length);
        buffer_putc(out, '\n');
    }
    assert(!spec->whole || spec->tools != PDK_TOOLS_AUTO || reader_called(reader) == (calls > 0));
    reader_free(reader);
}

static void compare(const struct reader_spec *spec, const char *text, size_t length, size_t piece)
{
    struct buffer one = {0}, pieces = {0};
    read_all(spec, text, length, length == 0 ? 1 : length, &one);
    read_all(spec, text, length, piece, &pieces);
    assert(one.length == pieces.length && (one.length == 0 || memcmp(one.data, pieces.data, one.length) == 0));
    assert(one.length <= 24 * length + 4096);
    buffer_done(&one);
    buffer_done(&pieces);
}

static size_t word(const uint8_t *data, size_t size, size_t at, char *out, size_t room)
{
    size_t length = 0;
    while (at < size && data[at] != ' ' && data[at] != '\n' && length + 1 < room)
        out[length++] = (char)data[at++];
    out[length] = '\0';
    return at < size ? at + 1 : at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char names[3][32];
    size_t at = 0;
    if (size > 1 << 16)
        return 0;
    for (size_t i = 0; i < 3; i++)
        at = word(data, size, at, names[i], sizeof names[i]);
    struct parsers parsers = {
        .tool_format = tool_format_find(names[0]), .reasoning_format = reasoning_format_find(names[1])};
    if (parsers_init(&parsers, NULL, NULL) != PDK_OK)
        abort();
    size_t piece = names[2][0] >= '1' && names[2][0] <= '9' ? (size_t)(names[2][0] - '0') : 1;
    struct reader_spec spec = {.parsers = &parsers,
        .tools = parsers.tool_format != NULL ? PDK_TOOLS_AUTO : PDK_TOOLS_REQUIRED,
        .tools_json = {tools, sizeof tools - 1},
        .reasoning = parsers.reasoning_format != NULL || parsers.is_harmony};
    if (parsers.reasoning_format != NULL)
        spec.start = reasoning_start(parsers.reasoning_format, (pdk_string){"", 0}, -1);
    const char *text = size > at ? (const char *)data + at : "";
    compare(&spec, text, size - at, piece);
    spec.whole = true;
    compare(&spec, text, size - at, piece);
    parsers_done(&parsers);
    return 0;
}
