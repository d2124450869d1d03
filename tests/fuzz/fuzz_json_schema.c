/* A schema becomes a grammar within its budget, or is refused in words. A text that the grammar allows is JSON. */
#include "config.h"

#include "core/base/clock.h"
#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/json_schema.h"

#include <assert.h>
#include <string.h>

enum { MEMORY_MAX = 32 << 20, TEXT_MAX = 400, TIME_MS = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A walk that takes, of the bytes that may come, now one and now another; true when it came to an end. */
static bool walk(struct automaton *automaton, char *text, size_t *ret_length)
{
    state_id state = automaton->start;
    for (size_t length = 0; length < TEXT_MAX; length++) {
        unsigned pick = (unsigned)(length * 7 + length / 3);
        uint8_t allowed[256];
        size_t count = 0;
        if (!automaton_close(automaton, state))
            return false;
        if (automaton_ends(automaton, state)) {
            *ret_length = length;
            return true;
        }
        for (unsigned b = 0; b < 256; b++) {
            state_id next = automaton_step(automaton, state, (uint8_t)b);
            if (next == STATE_UNKNOWN)
                return false;
            if (next != STATE_DEAD)
                allowed[count++] = (uint8_t)b;
        }
        assert(count > 0); /* a place from which nothing leads on */
        uint8_t byte = allowed[pick % count];
        for (size_t i = 0; i < count && length > TEXT_MAX / 4; i++) {
            if (strchr("\"}]", allowed[i]) != NULL && allowed[i] != '\0')
                byte = allowed[i];
        }
        text[length] = (char)byte;
        state = automaton_step(automaton, state, byte);
    }
    return false;
}

static void check(const struct program *program)
{
    struct automaton *automaton = NULL;
    struct json_document *document = NULL;
    struct json_limits limits = json_limits_default;
    char text[TEXT_MAX];
    size_t length = 0;
    int64_t deadline_us = clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000 + TIME_MS * 1000;
    limits.allow_nul = true;
    limits.depth = TEXT_MAX;
    if (automaton_new(program, MEMORY_MAX, deadline_us, &automaton, NULL) != PDK_OK)
        return;
    if (walk(automaton, text, &length)) {
        pdk_error err = {0};
        pdk_status status = json_read(text, length, &limits, &document, &err);
        /* A name that no property of the schema has may come twice. */
        assert(status == PDK_OK || strstr(err.message, "twice") != NULL);
        json_document_free(document);
    }
    automaton_free(automaton);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_limits limits = {.bytes = 1 << 18, .depth = 80, .nodes = 20000, .allow_nul = true};
    struct grammar_budget budget = {.memory_bytes = MEMORY_MAX, .deadline_ms = thread_ms() + TIME_MS};
    struct json_style style = {0};
    struct json_document *document = NULL;
    struct grammar *grammar = NULL;
    struct program *program = NULL;
    grammar_node root = GRAMMAR_FAILED;
    pdk_error err = {0};
    if (json_read((const char *)data, size, &limits, &document, NULL) != PDK_OK)
        return 0;
    pdk_status status = grammar_new(&budget, &grammar, &err);
    if (status == PDK_OK) {
        status = json_schema_node(grammar, json_root(document), &style, &root, &err);
        assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    }
    if (status == PDK_OK) {
        grammar_set_root(grammar, root);
        if (program_new(grammar, &program, NULL) == PDK_OK)
            check(program);
    }
    program_free(program);
    grammar_free(grammar);
    json_document_free(document);
    return 0;
}
