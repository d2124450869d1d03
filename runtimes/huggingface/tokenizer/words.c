/* Each step finds matches from left to right and decides piece by piece; what is not yet decided is one pending piece.
 */
#include "config.h"

#include "runtimes/huggingface/tokenizer/words.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/bytes.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <string.h>

/* A fast expression takes 20 ns a byte. */
enum { SLOW_NS = 5000000, BUDGET_NS = 1000000000, BUDGET_NS_A_BYTE = 1000 };

static pdk_status run_from(struct word_run *run, size_t index, struct word word, pdk_error *err);

pdk_status word_run_init(struct word_run *run, const struct word_steps *steps, size_t length, pdk_error *err)
{
    run->steps = steps;
    run->started_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    run->budget_ns = BUDGET_NS + (int64_t)length * BUDGET_NS_A_BYTE;
    for (size_t i = 0; i < steps->count; i++) {
        if (steps->steps[i].regex == NULL)
            continue;
        run->states[i] = regex_state_new(steps->steps[i].regex);
        if (run->states[i] == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    return PDK_OK;
}

void word_run_done(struct word_run *run)
{
    for (size_t i = 0; i < WORD_STEPS_MAX; i++) {
        regex_state_free(run->states[i]);
        buffer_done(&run->texts[i]);
    }
}

static bool find_class(const struct word_step *step, struct word word, size_t from, size_t *ret_start, size_t *ret_end)
{
    for (size_t i = from; i < word.length;) {
        uint32_t code = 0;
        size_t size = step->spelled ? 1 : utf8_decode(word.text + i, word.length - i, &code);
        if (step->spelled)
            code = byte_to_char((uint8_t)word.text[i]);
        if (step->class(code)) {
            *ret_start = i;
            *ret_end = i + size;
            return true;
        }
        i += size;
    }
    return false;
}

/* A single search is bounded by PCRE2's limits; a thousand that end just below them are not. A search of a usual length
 * asks only the cheap clock. */
static pdk_status find_regex(struct word_run *run, size_t index, struct word word, size_t from, bool *ret_found,
    size_t *ret_start, size_t *ret_end, pdk_error *err)
{
    int64_t before = clock_ns(CLOCK_MONOTONIC);
    pdk_status status = regex_find(run->steps->steps[index].regex, run->states[index], word.text, word.length, from,
        ret_found, ret_start, ret_end, err);
    if (status != PDK_OK || clock_ns(CLOCK_MONOTONIC) - before < SLOW_NS)
        return status;
    if (clock_ns(CLOCK_THREAD_CPUTIME_ID) - run->started_ns > run->budget_ns)
        return pdk_error_set(err, PDK_INVALID, "prompt", "the text cannot be cut into words within %d ms",
            (int)(run->budget_ns / 1000000));
    return PDK_OK;
}

static pdk_status find_match(struct word_run *run, size_t index, struct word word, size_t from, bool *ret_found,
    size_t *ret_start, size_t *ret_end, pdk_error *err)
{
    const struct word_step *step = &run->steps->steps[index];
    if (step->regex != NULL)
        return find_regex(run, index, word, from, ret_found, ret_start, ret_end, err);
    if (step->class != NULL) {
        *ret_found = find_class(step, word, from, ret_start, ret_end);
        return PDK_OK;
    }
    size_t length = strlen(step->literal);
    const char *at = memmem(word.text + from, word.length - from, step->literal, length);
    *ret_found = at != NULL;
    if (at != NULL) {
        *ret_start = (size_t)(at - word.text);
        *ret_end = *ret_start + length;
    }
    return PDK_OK;
}

/* Pieces of one word on their way to the next step. */
struct cut {
    struct word_run *run;
    size_t index;
    struct word word;
    bool pending, pending_match; /* a piece that the next one may join */
    size_t start, end;
    bool last_match;
};

static pdk_status emit(struct cut *cut, size_t start, size_t end, pdk_error *err)
{
    if (start == end)
        return PDK_OK;
    struct word piece = {cut->word.text + start, end - start, cut->word.first && start == 0};
    return run_from(cut->run, cut->index + 1, piece, err);
}

static pdk_status flush(struct cut *cut, pdk_error *err)
{
    if (!cut->pending)
        return PDK_OK;
    cut->pending = false;
    return emit(cut, cut->start, cut->end, err);
}

/* Whether the piece [start, end) joins the pending one. */
static bool joins(const struct cut *cut, enum split_behavior behavior, bool match)
{
    switch (behavior) {
    case SPLIT_CONTIGUOUS: return cut->pending_match == match;
    case SPLIT_WITH_PREVIOUS: return match && !cut->last_match;
    case SPLIT_WITH_NEXT: return !match && cut->last_match;
    default: return false;
    }
}

static pdk_status take(struct cut *cut, size_t start, size_t end, bool match, pdk_error *err)
{
    const struct word_step *step = &cut->run->steps->steps[cut->index];
    match = match != step->invert;
    if (step->behavior == SPLIT_REMOVED)
        return match ? PDK_OK : emit(cut, start, end, err);
    if (step->behavior == SPLIT_ISOLATED)
        return emit(cut, start, end, err);
    if (cut->pending && joins(cut, step->behavior, match)) {
        cut->end = end;
    } else {
        pdk_status status = flush(cut, err);
        if (status != PDK_OK)
            return status;
        cut->pending = true;
        cut->pending_match = match;
        cut->start = start;
        cut->end = end;
    }
    cut->last_match = match;
    return PDK_OK;
}

static pdk_status run_split(struct word_run *run, size_t index, struct word word, pdk_error *err)
{
    struct cut cut = {.run = run, .index = index, .word = word};
    size_t done = 0, from = 0;
    while (from <= word.length) {
        bool found;
        size_t start, end;
        pdk_status status = find_match(run, index, word, from, &found, &start, &end, err);
        if (status != PDK_OK)
            return status;
        if (!found)
            break;
        if (done < start)
            status = take(&cut, done, start, false, err);
        if (status == PDK_OK && start < end)
            status = take(&cut, start, end, true, err);
        if (status != PDK_OK)
            return status;
        done = end;
        from = end;
        if (start == end) { /* an empty match: on by one character */
            uint32_t code;
            from += end < word.length ? utf8_decode(word.text + end, word.length - end, &code) : 1;
            done = start;
        }
    }
    pdk_status status = done < word.length ? take(&cut, done, word.length, false, err) : PDK_OK;
    return status != PDK_OK ? status : flush(&cut, err);
}

static pdk_status run_prefix(struct word_run *run, size_t index, struct word word, pdk_error *err)
{
    if (word.text[0] == ' ')
        return run_from(run, index + 1, word, err);
    struct buffer *out = &run->texts[index];
    buffer_clear(out);
    buffer_putc(out, ' ');
    buffer_put(out, word.text, word.length);
    if (out->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    return run_from(run, index + 1, (struct word){out->data, out->length, word.first}, err);
}

static pdk_status run_metaspace(struct word_run *run, size_t index, struct word word, pdk_error *err)
{
    const struct word_step *step = &run->steps->steps[index];
    struct buffer *out = &run->texts[index];
    size_t length = strlen(step->literal);
    buffer_clear(out);
    bool starts = word.text[0] == ' ' || (word.length >= length && memcmp(word.text, step->literal, length) == 0);
    if (!starts && (step->prefix == PREFIX_ALWAYS || (step->prefix == PREFIX_FIRST && word.first)))
        buffer_put(out, step->literal, length);
    for (const char *at = word.text, *end = word.text + word.length; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space != NULL ? space : end;
        buffer_put(out, at, (size_t)(stop - at));
        if (space != NULL)
            buffer_put(out, step->literal, length);
        at = stop + 1;
    }
    if (out->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    return run_from(run, index + 1, (struct word){out->data, out->length, word.first}, err);
}

static pdk_status run_from(struct word_run *run, size_t index, struct word word, pdk_error *err)
{
    if (index == run->steps->count)
        return run->sink(run->to, word.text, word.length, err);
    switch (run->steps->steps[index].kind) {
    case WORD_PREFIX: return run_prefix(run, index, word, err);
    case WORD_METASPACE: return run_metaspace(run, index, word, err);
    default: return run_split(run, index, word, err);
    }
}

pdk_status word_run_cut(struct word_run *run, struct word text, pdk_error *err)
{
    return text.length == 0 ? PDK_OK : run_from(run, 0, text, err);
}
