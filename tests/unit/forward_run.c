/* See the header. */
#include "config.h"

#include "forward_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_MAX = 2048 };

void run_close(struct run *run)
{
    run_clear(run);
    model_free(run->model);
    if (run->compute != NULL)
        pdk_compute_entry.done(run->compute);
    *run = (struct run){0};
}

pdk_status run_try(struct run *run, const struct model_request *request, pdk_error *err)
{
    const pdk_compute_config config = {.size = sizeof config, .threads = 1};
    *run = (struct run){0};
    ck_assert_int_eq(pdk_compute_entry.init(&config, &run->compute, err), PDK_OK);
    run->ops = pdk_compute_entry.get_extension(run->compute, PDK_EXT_OPS);
    ck_assert_ptr_nonnull(run->ops);
    struct model_request full = *request;
    full.ops = run->ops;
    full.compute = run->compute;
    return model_load(&full, &run->model, err);
}

void run_open(struct run *run, const char *path)
{
    run_open_for(run, path, 0);
}

void run_open_for(struct run *run, const char *path, uint32_t context)
{
    pdk_error err = {0};
    const struct model_request request = {.path = path, .use_generation_config = true, .context_length = context};
    ck_assert_msg(run_try(run, &request, &err) == PDK_OK, "%s: %s", path, err.message);
    ck_assert_msg(model_prepare(run->model, PDK_TYPE_F32, RUN_SEQUENCES_MAX * RUN_BLOCKS_EACH, ROWS_MAX, ROWS_MAX,
                      &err) == PDK_OK,
        "%s: %s", path, err.message);
}

size_t run_columns(const struct run *run)
{
    const struct model_facts *facts = model_facts(run->model);
    return facts->use == USE_GENERATE ? facts->vocabulary_size : facts->hidden_columns;
}

struct run_sequence *run_add(struct run *run, const uint32_t *prompt, uint32_t count, uint32_t wanted)
{
    ck_assert_uint_lt(run->count, RUN_SEQUENCES_MAX);
    ck_assert_uint_le(count + wanted, RUN_TOKENS_MAX);
    struct run_sequence *sequence = &run->sequences[run->count++];
    *sequence = (struct run_sequence){.prompt = count, .count = count, .wanted = wanted};
    memcpy(sequence->tokens, prompt, count * sizeof *prompt);
    sequence->logits = calloc((size_t)count * run_columns(run), sizeof(float));
    ck_assert_ptr_nonnull(sequence->logits);
    return sequence;
}

void run_clear(struct run *run)
{
    for (uint32_t i = 0; i < run->count; i++)
        free(run->sequences[i].logits);
    run->count = 0;
}

static uint32_t rows_of(const struct run_sequence *sequence, uint32_t chunk)
{
    if (sequence->count == sequence->prompt + sequence->wanted)
        return sequence->computed < sequence->prompt && sequence->wanted == 0
                   ? (sequence->prompt - sequence->computed < chunk ? sequence->prompt - sequence->computed : chunk)
                   : 0;
    uint32_t left = sequence->count - sequence->computed;
    return left < chunk ? left : chunk;
}

/* Block ids are scattered, so that a mistake in a table shows. */
static uint32_t block_of(uint32_t sequence, uint32_t index)
{
    return (index * RUN_SEQUENCES_MAX + sequence * 7 % RUN_SEQUENCES_MAX) % (RUN_SEQUENCES_MAX * RUN_BLOCKS_EACH);
}

static void keep_logits(struct run *run, const uint32_t *sequence_of, const uint32_t *positions, uint32_t rows)
{
    size_t columns = run_columns(run);
    bool generates = model_facts(run->model)->use == USE_GENERATE;
    for (uint32_t r = 0; r < rows; r++) {
        struct run_sequence *sequence = &run->sequences[sequence_of[r]];
        float *to = sequence->logits + positions[r] * columns;
        if (positions[r] < sequence->prompt && generates)
            model_logits(run->model, r, 1, to);
        else if (positions[r] < sequence->prompt)
            model_hidden(run->model, r, 1, to);
    }
}

/* One step. False when there was nothing to do. */
static bool run_step(struct run *run, uint32_t chunk)
{
    static uint32_t tokens[ROWS_MAX], positions[ROWS_MAX], slots[ROWS_MAX], sequence_of[ROWS_MAX], member[ROWS_MAX],
        output_rows[ROWS_MAX], row_starts[RUN_SEQUENCES_MAX + 1], lengths[RUN_SEQUENCES_MAX],
        tables[RUN_SEQUENCES_MAX][RUN_BLOCKS_EACH];
    static pdk_sample_row samples[RUN_SEQUENCES_MAX];
    struct run_sequence *drawn[RUN_SEQUENCES_MAX];
    uint32_t rows = 0, members = 0, sampled = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        struct run_sequence *sequence = &run->sequences[i];
        uint32_t take = rows_of(sequence, chunk);
        if (take == 0)
            continue;
        row_starts[members] = rows;
        for (uint32_t b = 0; b < RUN_BLOCKS_EACH; b++)
            tables[members][b] = block_of(i, b);
        for (uint32_t k = 0; k < take; k++, rows++) {
            uint32_t position = sequence->computed + k;
            ck_assert_uint_lt(rows, ROWS_MAX);
            tokens[rows] = sequence->tokens[position];
            positions[rows] = position;
            slots[rows] =
                block_of(i, position / PDK_KV_BLOCK_TOKENS) * PDK_KV_BLOCK_TOKENS + position % PDK_KV_BLOCK_TOKENS;
            sequence_of[rows] = members;
            member[rows] = i;
            output_rows[rows] = rows;
        }
        sequence->computed += take;
        lengths[members++] = sequence->computed;
        if (sequence->computed == sequence->count && sequence->count < sequence->prompt + sequence->wanted) {
            samples[sampled] =
                (pdk_sample_row){.logits_row = rows - 1, .temperature = 0, .top_p = 1, .repetition_penalty = 1};
            drawn[sampled++] = sequence;
        }
    }
    if (rows == 0)
        return false;
    row_starts[members] = rows;
    const pdk_batch batch = {.row_count = rows,
        .sequence_count = members,
        .output_count = rows,
        .table_stride = RUN_BLOCKS_EACH,
        .tokens = tokens,
        .positions = positions,
        .slots = slots,
        .sequence_of = sequence_of,
        .row_starts = row_starts,
        .context_lengths = lengths,
        .tables = tables[0],
        .output_rows = output_rows};
    pdk_error err = {0};
    ck_assert_msg(model_step(run->model, &batch, NULL, 0, samples, sampled, &err) == PDK_OK, "%s", err.message);
    keep_logits(run, member, positions, rows);
    for (uint32_t i = 0; i < sampled; i++)
        drawn[i]->tokens[drawn[i]->count++] = samples[i].token;
    return true;
}

void run_all(struct run *run, uint32_t chunk)
{
    while (run_step(run, chunk))
        continue;
}

const struct safetensors_tensor *golden_tensor(const struct safetensors *file, const char *name)
{
    for (size_t i = 0; i < safetensors_count(file); i++)
        if (strcmp(safetensors_at(file, i)->name, name) == 0)
            return safetensors_at(file, i);
    return NULL;
}

uint32_t golden_ids(const struct safetensors *file, const char *name, uint32_t *ids, uint32_t room)
{
    const struct safetensors_tensor *tensor = golden_tensor(file, name);
    if (tensor == NULL)
        return 0;
    size_t width = strcmp(tensor->dtype, "I64") == 0 ? 8 : 4;
    uint32_t count = (uint32_t)(tensor->bytes / width);
    ck_assert_uint_le(count, room);
    for (uint32_t i = 0; i < count; i++)
        memcpy(&ids[i], (const uint8_t *)tensor->data + i * width, sizeof ids[i]);
    return count;
}

const char *fixture_path(const char *name)
{
    static char path[4096];
    const char *fixtures = getenv("PADDOCK_FIXTURES");
    snprintf(path, sizeof path, "%s/%s", fixtures != NULL ? fixtures : "", name);
    if (fixtures == NULL || fixtures[0] == '\0' || access(path, R_OK) != 0) {
        printf("skipped: no fixture %s\n", name);
        exit(77);
    }
    return path;
}

const char *source_path(const char *name)
{
    static char path[4096];
    const char *top = getenv("top_srcdir");
    ck_assert_msg(top != NULL, "top_srcdir is not set");
    snprintf(path, sizeof path, "%s/tests/fixtures/%s", top, name);
    return path;
}
