/* Texts of JSON schemas, for test_json_schema.py: each line of input is a schema; each line of output what became of
 * it: {"texts":[…],"ms":…,"kib":…} or {"status":…,"error":…}. A text is a random walk, byte by byte, through what the
 * grammar allows, which gets more and more eager to end. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/json_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 60000, EAGER_AFTER = 120, MEMORY_MAX = 64 << 20, TIME_MS = 1000 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545F4914F6CDD1Du >> 11;
}

/* How much a byte is wanted, once the text is long: what closes before what opens. */
static unsigned weight(uint8_t byte, size_t length)
{
    unsigned eager = length > EAGER_AFTER ? 2 + (unsigned)(length / EAGER_AFTER) : 1;
    if (byte == '"' || byte == '}' || byte == ']')
        return 40 * eager * eager;
    if (length > EAGER_AFTER && (byte == '{' || byte == '[' || byte == ','))
        return 1;
    if (byte >= 0x80 || byte == '\n' || byte == '\\')
        return 10;
    return 40;
}

/* Whether a text came out; `text` then holds it. */
static bool walk(struct automaton *automaton, uint64_t *random, struct buffer *text)
{
    const struct program *program = automaton->program;
    state_id state = automaton->start;
    buffer_clear(text);
    while (text->length < TEXT_MAX) {
        unsigned weights[256] = {0}, total = 0;
        if (!automaton_close(automaton, state))
            return false;
        unsigned end = automaton_ends(automaton, state) ? 40 + (unsigned)text->length : 0;
        for (uint32_t b = 0; b < 256; b++) {
            state_id next = automaton_step(automaton, state, (uint8_t)b);
            if (next == STATE_UNKNOWN)
                return false;
            weights[b] = next == STATE_DEAD ? 0 : weight((uint8_t)b, text->length);
            total += weights[b];
        }
        if (total + end == 0)
            return false;
        uint64_t pick = next_random(random) % (total + end);
        if (pick >= total)
            return true;
        uint32_t byte = 0;
        while (pick >= weights[byte])
            pick -= weights[byte++];
        buffer_putc(text, (char)byte);
        state = automaton_step(automaton, state, (uint8_t)byte);
        (void)program;
    }
    return false;
}

static void print_error(pdk_status status, const char *message)
{
    struct buffer out = {0};
    json_escape(&out, message, strlen(message));
    printf("{\"status\":\"%s\",\"error\":%s}\n", pdk_status_name(status), out.data);
    buffer_done(&out);
}

static pdk_status make(const struct json *schema, const struct json_style *style, struct grammar **ret_grammar,
    struct program **ret_program, pdk_error *err)
{
    struct grammar_budget budget = {.memory_bytes = MEMORY_MAX, .deadline_ms = thread_ms() + TIME_MS};
    grammar_node root = GRAMMAR_FAILED;
    pdk_status status = grammar_new(&budget, ret_grammar, err);
    if (status == PDK_OK)
        status = json_schema_node(*ret_grammar, schema, style, &root, err);
    if (status != PDK_OK)
        return status;
    grammar_set_root(*ret_grammar, root);
    status = grammar_status(*ret_grammar, err);
    return status != PDK_OK ? status : program_new(*ret_grammar, ret_program, err);
}

static void print_texts(struct program *program, unsigned count, uint64_t seed, int64_t ms)
{
    struct buffer text = {0}, out = {0};
    struct automaton *automaton = NULL;
    pdk_error err = {0};
    int64_t deadline = clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000 + 20000000;
    if (automaton_new(program, MEMORY_MAX, deadline, &automaton, &err) != PDK_OK) {
        print_error(PDK_NO_MEMORY, err.message);
        return;
    }
    unsigned incomplete = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t random = (seed + i + 1) * 0x9E3779B97F4A7C15u;
        if (!walk(automaton, &random, &text)) {
            incomplete++;
            if (automaton->status != PDK_OK)
                break;
            continue;
        }
        buffer_puts(&out, out.length > 0 ? "," : "");
        json_escape(&out, text.data, text.length);
    }
    printf("{\"texts\":[%s],\"incomplete\":%u,\"ms\":%" PRId64 ",\"kib\":%zu,\"walk_status\":%d}\n",
        out.data != NULL ? out.data : "", incomplete, ms, program->bytes / 1024, automaton->status);
    automaton_free(automaton);
    buffer_done(&text);
    buffer_done(&out);
}

static void read_line(const char *line, size_t length, unsigned count, uint64_t seed, const struct json_style *style)
{
    struct json_limits limits = json_limits_default;
    struct json_document *document = NULL;
    struct grammar *grammar = NULL;
    struct program *program = NULL;
    pdk_error err = {0};
    limits.allow_nul = true;
    int64_t begin = thread_ms();
    pdk_status status = json_read(line, length, &limits, &document, &err);
    if (status == PDK_OK)
        status = make(json_root(document), style, &grammar, &program, &err);
    if (status == PDK_OK)
        print_texts(program, count, seed, thread_ms() - begin);
    else
        print_error(status, err.message);
    fflush(stdout);
    program_free(program);
    grammar_free(grammar);
    json_document_free(document);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct json_style style = {.no_whitespace = argc > 3 && strcmp(argv[3], "tight") == 0,
        .closed_objects = argc > 3 && strcmp(argv[3], "closed") == 0};
    PDK_AUTO_FREE char *line = NULL;
    size_t room = 0;
    for (;;) {
        ssize_t length = getline(&line, &room, stdin);
        if (length < 0)
            return 0;
        read_line(line, (size_t)length, count, seed, &style);
    }
}
