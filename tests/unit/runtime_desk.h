/* tests/unit/runtime_desk.h: a host for tests of a runtime as it is built: both plugins are opened as the worker opens
 * them, requests are submitted, their parts are put together. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/thread.h"

#include <paddock/compute.h>
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>
#include <stdbool.h>

enum { DESK_CHOICES = 8, DESK_METRICS = 128 };

struct desk_choice {
    uint32_t *ids;
    size_t id_count, id_room;
    struct buffer text, logprobs; /* logprobs: "token:rank:text " of each entry, '|' behind each position */
    /* "c:" content, "r:" reasoning, "N " a call's name, ":" its arguments, '|' between; `parsed`: a part had such */
    struct buffer seen;
    int32_t seen_kind;
    uint32_t seen_call, reasoning_tokens;
    bool parsed, called;
    double logprob_sum;
    int32_t finish, stop_kind;
    uint32_t stop_token, completion_tokens;
    char stop_string[64];
};

/* One answer; also the host's handle of it. */
struct desk_answer {
    struct desk *desk;
    uint64_t id;
    struct desk_choice choices[DESK_CHOICES];
    struct desk_choice prompt;
    uint32_t parts, finishes, prompt_tokens, cached_tokens, pieces;
    struct buffer piece_text;
    float *values; /* [value_rows][value_columns] */
    uint32_t value_rows, value_columns;
    uint32_t full_at;   /* this part is answered PDK_FULL; 0: none */
    uint32_t cancel_at; /* this part is answered PDK_CANCELLED */
    bool is_full;
    bool broken;     /* a part after the end, or one while full */
    pdk_error error; /* status PDK_OK: it ended well */
};

struct desk {
    const pdk_runtime *runtime;
    const pdk_compute *compute;
    void *self, *compute_self;
    pdk_host host;
    pdk_host_compute host_compute;
    const pdk_model *model;
    const pdk_generate *generate;
    const pdk_tokenize *tokenize;
    const pdk_pool *pool;
    struct buffer log;
    struct mutex lock;
    struct condition changed;
    char metric_names[DESK_METRICS][96];
    double metric_values[DESK_METRICS];
    uint32_t metric_count;
};

/* Ends the program with 77 (skipped) where a plugin of the build tree is missing: before Check forks. */
void desk_need_plugins(void);
/* Opens both plugins of the build tree. */
void desk_open(struct desk *desk);
/* Loads `path` with arguments and environment, each list ended by NULL (may be NULL itself). */
pdk_status desk_load(
    struct desk *desk, const char *path, const char *const *arguments, const char *const *environment, pdk_error *err);
void desk_close(struct desk *desk);

void desk_submit(struct desk *desk, const pdk_request *request, struct desk_answer *answer);
void desk_wait(struct desk_answer *answer); /* until it was finished; a minute at most */
void desk_wait_parts(struct desk_answer *answer, uint32_t parts);
void desk_answer_done(struct desk_answer *answer);
double desk_metric(struct desk *desk, const char *name);
/* "$PADDOCK_FIXTURES/NAME"; ends the program with 77 (skipped) where it is missing. */
const char *desk_fixture(const char *name);
