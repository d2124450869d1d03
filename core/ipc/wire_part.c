/* A part's body; the layout stands in wire.h. */
#include "config.h"

#include "core/ipc/wire.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/span.h"
#include "core/ipc/wire_runs.h"

#include <string.h>

static bool fill(struct wire_part *fixed, const pdk_part *part)
{
    *fixed = (struct wire_part){
        .flags = part->flags,
        .choice = part->choice,
        .finish = part->finish,
        .stop_kind = part->stop_kind,
        .stop_token = part->stop_token,
        .prompt_tokens = part->prompt_tokens,
        .cached_tokens = part->cached_tokens,
        .completion_tokens = part->completion_tokens,
        .reasoning_tokens = part->reasoning_tokens,
        .value_rows = part->value_rows,
        .value_columns = part->value_columns,
        .queued_us = part->queued_us,
        .first_token_us = part->first_token_us,
        .generated_us = part->generated_us,
    };
    size_t values;
    return !__builtin_mul_overflow((size_t)part->value_rows, part->value_columns, &values) &&
           values <= WIRE_COUNT_MAX / sizeof(float) && narrow(part->delta_count, &fixed->deltas) &&
           narrow(part->token_count, &fixed->tokens) && narrow(part->position_count, &fixed->positions) &&
           narrow(part->logprob_count, &fixed->logprobs) && narrow(part->piece_count, &fixed->pieces) &&
           narrow(part->stop_string.length, &fixed->stop_string) && narrow(part->text.length, &fixed->text);
}

static bool counts_add_up(const uint32_t *counts, size_t positions, size_t total)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < positions; i++)
        sum += counts[i];
    return sum == total;
}

static void put_logprobs(struct buffer *out, const pdk_logprob *logprobs, size_t count, bool *ok)
{
    for (size_t i = 0; i < count; i++) {
        struct wire_logprob entry = {
            .token = logprobs[i].token, .rank = logprobs[i].rank, .logprob = logprobs[i].logprob};
        if (!narrow(logprobs[i].text.length, &entry.text))
            *ok = false;
        buffer_put(out, &entry, sizeof entry);
    }
}

static void put_deltas(struct buffer *out, const pdk_delta *deltas, size_t count, bool *ok)
{
    for (size_t i = 0; i < count; i++) {
        struct wire_delta entry = {.kind = deltas[i].kind, .call = deltas[i].call};
        if (!narrow(deltas[i].text.length, &entry.text) || !narrow(deltas[i].call_id.length, &entry.call_id))
            *ok = false;
        buffer_put(out, &entry, sizeof entry);
    }
}

pdk_status wire_part_encode(struct buffer *out, const pdk_part *part, pdk_error *err)
{
    struct wire_part fixed;
    bool ok = fill(&fixed, part);
    if (ok && !counts_add_up(part->logprob_counts, part->position_count, part->logprob_count))
        return pdk_error_set(err, PDK_INVALID, "logprob_counts",
            "the counts of %zu positions do not add up to %zu logprobs", part->position_count, part->logprob_count);
    if (ok) {
        buffer_put(out, &fixed, sizeof fixed);
        put_numbers(out, part->token_ids, part->token_count, 4);
        put_numbers(out, part->logprob_counts, part->position_count, 4);
        put_logprobs(out, part->logprobs, part->logprob_count, &ok);
        put_numbers(out, part->values, (size_t)part->value_rows * part->value_columns, sizeof(float));
        put_deltas(out, part->deltas, part->delta_count, &ok);
        put_lengths(out, part->pieces, part->piece_count, &ok);
    }
    if (!ok)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "part", "a list or string of the part is over %d long", (int)WIRE_COUNT_MAX);
    buffer_put(out, part->stop_string.data, part->stop_string.length);
    buffer_put(out, part->text.data, part->text.length);
    for (size_t i = 0; i < part->logprob_count; i++)
        buffer_put(out, part->logprobs[i].text.data, part->logprobs[i].text.length);
    for (size_t i = 0; i < part->delta_count; i++) {
        buffer_put(out, part->deltas[i].text.data, part->deltas[i].text.length);
        buffer_put(out, part->deltas[i].call_id.data, part->deltas[i].call_id.length);
    }
    put_strings(out, part->pieces, part->piece_count);
    return PDK_OK;
}

/* Where the lists of a part that hold lengths begin, and the memory that their strings are put into. */
struct lists {
    const uint32_t *logprobs, *deltas, *pieces;
    pdk_logprob *ret_logprobs;
    pdk_delta *ret_deltas;
    pdk_string *ret_pieces;
};

static bool take_strings_of_part(
    struct span *in, const struct wire_part *fixed, const struct lists *lists, pdk_part *part)
{
    bool ok = take_string(in, fixed->stop_string, &part->stop_string) && take_string(in, fixed->text, &part->text);
    for (size_t i = 0; ok && i < fixed->logprobs; i++) {
        struct wire_logprob entry;
        memcpy(&entry, lists->logprobs + 4 * i, sizeof entry);
        lists->ret_logprobs[i] = (pdk_logprob){.token = entry.token, .rank = entry.rank, .logprob = entry.logprob};
        ok = take_string(in, entry.text, &lists->ret_logprobs[i].text);
    }
    for (size_t i = 0; ok && i < fixed->deltas; i++) {
        struct wire_delta entry;
        memcpy(&entry, lists->deltas + 4 * i, sizeof entry);
        lists->ret_deltas[i] = (pdk_delta){.kind = entry.kind, .call = entry.call};
        ok = take_string(in, entry.text, &lists->ret_deltas[i].text) &&
             take_string(in, entry.call_id, &lists->ret_deltas[i].call_id);
    }
    for (size_t i = 0; ok && i < fixed->pieces; i++)
        ok = take_string(in, lists->pieces[i], &lists->ret_pieces[i]);
    return ok;
}

static bool take_lists(struct span *in, const struct wire_part *fixed, pdk_part *part, struct lists *lists)
{
    const uint32_t *values;
    bool ok = (fixed->value_rows == 0) == (fixed->value_columns == 0) &&
              take_numbers(in, fixed->tokens, 1, &part->token_ids) &&
              take_numbers(in, fixed->positions, 1, &part->logprob_counts) &&
              take_numbers(in, fixed->logprobs, 4, &lists->logprobs) &&
              take_numbers(in, fixed->value_rows, fixed->value_columns, &values) &&
              take_numbers(in, fixed->deltas, 4, &lists->deltas) && take_numbers(in, fixed->pieces, 1, &lists->pieces);
    if (ok)
        part->values = (const float *)(const void *)values;
    return ok;
}

pdk_status wire_part_decode(const void *body, size_t length, pdk_part *ret_part, void **ret_memory, pdk_error *err)
{
    struct span in = span_of(body, length);
    struct wire_part fixed;
    if (!span_copy(&in, &fixed, sizeof fixed))
        return pdk_error_set(err, PDK_INVALID, "part", "a part of %zu bytes is cut short", length);
    pdk_part part = {
        .size = sizeof part,
        .flags = fixed.flags,
        .choice = fixed.choice,
        .finish = fixed.finish,
        .stop_kind = fixed.stop_kind,
        .stop_token = fixed.stop_token,
        .token_count = fixed.tokens,
        .position_count = fixed.positions,
        .logprob_count = fixed.logprobs,
        .piece_count = fixed.pieces,
        .prompt_tokens = fixed.prompt_tokens,
        .cached_tokens = fixed.cached_tokens,
        .completion_tokens = fixed.completion_tokens,
        .reasoning_tokens = fixed.reasoning_tokens,
        .delta_count = fixed.deltas,
        .value_rows = fixed.value_rows,
        .value_columns = fixed.value_columns,
        .queued_us = fixed.queued_us,
        .first_token_us = fixed.first_token_us,
        .generated_us = fixed.generated_us,
    };
    struct lists lists = {0};
    if (!take_lists(&in, &fixed, &part, &lists))
        return pdk_error_set(err, PDK_INVALID, "part", "the lists of a part pass its end (%zu bytes)", length);
    if (!counts_add_up(part.logprob_counts, fixed.positions, fixed.logprobs))
        return pdk_error_set(err, PDK_INVALID, "logprob_counts",
            "the counts of %u positions do not add up to %u logprobs", fixed.positions, fixed.logprobs);
    /* The counts were taken from the body, so these sums are far below SIZE_MAX. */
    size_t bytes =
        fixed.logprobs * sizeof(pdk_logprob) + fixed.deltas * sizeof(pdk_delta) + fixed.pieces * sizeof(pdk_string);
    PDK_AUTO_FREE void *memory = bytes != 0 ? malloc(bytes) : NULL;
    if (bytes != 0 && memory == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "part", "no memory for a part's %u logprobs", fixed.logprobs);
    if (bytes != 0) {
        lists.ret_logprobs = memory;
        lists.ret_deltas = (pdk_delta *)(void *)(lists.ret_logprobs + fixed.logprobs);
        lists.ret_pieces = (pdk_string *)(void *)(lists.ret_deltas + fixed.deltas);
    }
    if (!take_strings_of_part(&in, &fixed, &lists, &part) || in.left != 0)
        return pdk_error_set(err, PDK_INVALID, "part", "the strings of a part do not fill its %zu bytes", length);
    part.logprobs = fixed.logprobs != 0 ? lists.ret_logprobs : NULL;
    part.deltas = fixed.deltas != 0 ? lists.ret_deltas : NULL;
    part.pieces = fixed.pieces != 0 ? lists.ret_pieces : NULL;
    *ret_part = part;
    *ret_memory = PDK_STEAL(memory);
    return PDK_OK;
}
