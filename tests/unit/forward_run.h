/* tests/unit/forward_run.h: a small engine for tests of the forward: sequences with block tables, in steps of so many
 * rows, alone or together. It keeps every row's logits and goes on greedily. */
#pragma once

#include "runtimes/huggingface/model/model.h"
#include "runtimes/huggingface/model/safetensors.h"

#include <paddock/compute.h>

enum { RUN_SEQUENCES_MAX = 16, RUN_TOKENS_MAX = 256, RUN_BLOCKS_EACH = 20 };

struct run_sequence {
    uint32_t tokens[RUN_TOKENS_MAX];
    uint32_t prompt, count, computed; /* tokens of the prompt, known, computed */
    uint32_t wanted;                  /* to generate */
    float *logits;                    /* [prompt][vocabulary], filled as rows are computed; of a model that draws no
                                       * tokens its hidden states, [prompt][hidden_columns] */
};

struct run {
    struct model *model;
    const pdk_ops *ops;
    void *compute;
    struct run_sequence sequences[RUN_SEQUENCES_MAX];
    uint32_t count;
};

/* Starts the compute plugin that is linked in, loads the model at `path`. Asserts by Check. */
void run_open(struct run *run, const char *path);
/* The same, for requests of up to `context` tokens (0: the model's own length). */
void run_open_for(struct run *run, const char *path, uint32_t context);
/* The status of the load; the plugin runs in either case. */
pdk_status run_try(struct run *run, const struct model_request *request, pdk_error *err);
void run_close(struct run *run);
/* Adds a sequence (its logits are freed by run_clear). */
struct run_sequence *run_add(struct run *run, const uint32_t *prompt, uint32_t count, uint32_t wanted);
/* Until every sequence has its tokens: a step gives each up to `chunk` rows. */
void run_all(struct run *run, uint32_t chunk);
void run_clear(struct run *run);
size_t run_columns(const struct run *run); /* of `logits` */

/* Token ids (I64 or I32) of a reference file; returns how many. */
uint32_t golden_ids(const struct safetensors *file, const char *name, uint32_t *ids, uint32_t room);
const struct safetensors_tensor *golden_tensor(const struct safetensors *file, const char *name); /* or NULL */

/* "$PADDOCK_FIXTURES/NAME"; ends the program with 77 (skipped) where it is missing. */
const char *fixture_path(const char *name);
/* "$top_srcdir/tests/fixtures/NAME", which is in every tree. */
const char *source_path(const char *name);
