/* Beams are paths in a tree of tokens that only grows; a beam is the node at its tip. */
#include "config.h"

#include "runtimes/huggingface/front/beam.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct node {
    uint32_t parent, token;
    uint32_t report; /* where the tops of its position begin */
    int32_t rank;
    float logprob;
};

struct tip {
    uint32_t node;
    uint32_t length; /* tokens, the end included */
    int64_t end;     /* -1: none */
    double total;
    double score; /* what it is ordered by */
};

struct beam_search {
    struct beam_spec spec;
    uint32_t round;
    struct node *nodes; /* 0 is the prompt's last token */
    size_t node_count, node_room;
    uint32_t *top_tokens; /* [reports][spec.top] */
    float *top_logprobs;
    size_t report_count, token_room, logprob_room;
    struct tip *live, *done, *candidates;
    uint32_t live_count, done_count;
    size_t candidate_count, candidate_room;
    uint32_t *texts;        /* [width][prompt and rounds] */
    const uint32_t **lines; /* [width] into texts */
    uint32_t *path;         /* [rounds + 1] nodes of the answer shown last */
    uint32_t *shown;        /* [rounds] its tokens */
};

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "n", "no memory for the beams");
}

pdk_status beam_new(const struct beam_spec *spec, struct beam_search **ret_beam, pdk_error *err)
{
    struct beam_search *beam = calloc(1, sizeof *beam);
    if (beam == NULL)
        return no_memory(err);
    beam->spec = *spec;
    beam->spec.top = spec->top < 2 * spec->width ? spec->top : 2 * spec->width;
    size_t line = (size_t)spec->prompt_count + spec->rounds, bytes;
    if (!__builtin_mul_overflow(line * sizeof(uint32_t), (size_t)spec->width, &bytes))
        beam->texts = malloc(bytes);
    beam->lines = calloc(spec->width, sizeof *beam->lines);
    beam->live = calloc(spec->width, sizeof *beam->live);
    beam->done = calloc((size_t)spec->width + 1, sizeof *beam->done);
    beam->path = calloc((size_t)spec->rounds + 1, sizeof *beam->path);
    beam->shown = calloc((size_t)spec->rounds + 1, sizeof *beam->shown);
    if (beam->texts == NULL || beam->lines == NULL || beam->live == NULL || beam->done == NULL || beam->path == NULL ||
        beam->shown == NULL || !array_grow(&beam->nodes, &beam->node_room, 1)) {
        beam_free(beam);
        return no_memory(err);
    }
    beam->nodes[beam->node_count++] = (struct node){0};
    beam->live[0] = (struct tip){.end = -1};
    beam->live_count = 1;
    *ret_beam = beam;
    return PDK_OK;
}

struct beam_search *beam_free(struct beam_search *beam)
{
    if (beam == NULL)
        return NULL;
    free(beam->nodes);
    free(beam->top_tokens);
    free(beam->top_logprobs);
    free(beam->live);
    free(beam->done);
    free(beam->candidates);
    free(beam->texts);
    free(beam->lines);
    free(beam->path);
    free(beam->shown);
    free(beam);
    return NULL;
}

uint32_t beam_wanted(const struct beam_search *beam)
{
    return 2 * beam->spec.width;
}

uint32_t beam_round(struct beam_search *beam, const uint32_t *const **ret_tokens, uint32_t *ret_length)
{
    if (beam->round == beam->spec.rounds)
        return 0;
    uint32_t prompt = beam->spec.prompt_count;
    for (uint32_t i = 0; i < beam->live_count; i++) {
        uint32_t *line = beam->texts + (size_t)i * (prompt + beam->spec.rounds);
        memcpy(line, beam->spec.prompt, prompt * sizeof *line);
        uint32_t node = beam->live[i].node;
        for (uint32_t at = beam->live[i].length; at > 0; at--, node = beam->nodes[node].parent)
            line[prompt + at - 1] = beam->nodes[node].token;
        beam->lines[i] = line;
    }
    *ret_tokens = beam->lines;
    *ret_length = prompt + beam->round;
    return beam->live_count;
}

static bool is_end(const struct beam_search *beam, uint32_t token)
{
    for (uint32_t i = 0; i < beam->spec.end_count; i++)
        if (beam->spec.ends[i] == token)
            return true;
    return false;
}

static double score_of(const struct beam_search *beam, const struct tip *tip)
{
    return tip->total / pow(tip->length, beam->spec.length_penalty);
}

/* Keeps the best `width` of what is complete, the earlier of equals. */
static void complete(struct beam_search *beam, struct tip tip)
{
    tip.score = score_of(beam, &tip);
    uint32_t at = beam->done_count;
    for (; at > 0 && beam->done[at - 1].score < tip.score; at--)
        beam->done[at] = beam->done[at - 1];
    beam->done[at] = tip;
    if (beam->done_count < beam->spec.width)
        beam->done_count++;
}

static bool add_report(struct beam_search *beam, const struct drawn *drawn)
{
    size_t top = beam->spec.top, needed = (beam->report_count + 1) * top;
    if (!array_grow(&beam->top_tokens, &beam->token_room, needed) ||
        !array_grow(&beam->top_logprobs, &beam->logprob_room, needed))
        return false;
    for (size_t i = 0; i < top; i++) {
        bool known = i < drawn->top_count;
        beam->top_tokens[beam->report_count * top + i] = known ? drawn->top_tokens[i] : UINT32_MAX;
        beam->top_logprobs[beam->report_count * top + i] = known ? drawn->top_logprobs[i] : -INFINITY;
    }
    beam->report_count++;
    return true;
}

static bool add_candidate(struct beam_search *beam, const struct tip *from, uint32_t token, float logprob, int32_t rank)
{
    if (!array_grow(&beam->nodes, &beam->node_room, beam->node_count + 1) ||
        !array_grow(&beam->candidates, &beam->candidate_room, beam->candidate_count + 1))
        return false;
    beam->nodes[beam->node_count] = (struct node){.parent = from->node,
        .token = token,
        .report = (uint32_t)(beam->report_count - 1),
        .rank = rank,
        .logprob = logprob};
    struct tip tip = {
        .node = (uint32_t)beam->node_count, .length = from->length + 1, .end = -1, .total = from->total + logprob};
    if (is_end(beam, token)) {
        tip.end = token;
        complete(beam, tip);
    } else {
        beam->candidates[beam->candidate_count++] = tip;
    }
    beam->node_count++;
    return true;
}

/* Moves the best `width` candidates to the front, the earlier of equals first. */
static void choose_best(struct beam_search *beam)
{
    uint32_t kept = 0;
    for (size_t i = 0; i < beam->candidate_count; i++) {
        struct tip tip = beam->candidates[i];
        uint32_t at = kept;
        while (at > 0 && beam->live[at - 1].total < tip.total)
            at--;
        if (at == beam->spec.width)
            continue;
        uint32_t last = kept < beam->spec.width ? kept++ : beam->spec.width - 1;
        memmove(&beam->live[at + 1], &beam->live[at], (last - at) * sizeof tip);
        beam->live[at] = tip;
    }
    beam->live_count = kept;
    beam->candidate_count = 0;
}

pdk_status beam_take(struct beam_search *beam, const uint32_t *tokens, const struct drawn *drawn, pdk_error *err)
{
    if (beam->node_count > UINT32_MAX / 2)
        return pdk_error_set(err, PDK_TOO_LARGE, "max_tokens", "the beam search has grown over 2^31 candidates");
    for (uint32_t i = 0; i < beam->live_count; i++) {
        const struct drawn *report = &drawn[i];
        bool fits = add_report(beam, report), listed = false;
        for (uint32_t k = 0; k < report->top_count; k++)
            listed |= report->top_tokens[k] == tokens[i];
        if (fits && !listed)
            fits = add_candidate(beam, &beam->live[i], tokens[i], report->logprob, report->rank);
        for (uint32_t k = 0; k < report->top_count && fits; k++)
            fits = add_candidate(beam, &beam->live[i], report->top_tokens[k], report->top_logprobs[k], (int32_t)k + 1);
        if (!fits)
            return no_memory(err);
    }
    choose_best(beam);
    beam->round++;
    return PDK_OK;
}

uint32_t beam_finish(struct beam_search *beam)
{
    for (uint32_t i = 0; i < beam->live_count; i++)
        if (beam->live[i].length > 0)
            complete(beam, beam->live[i]);
    beam->live_count = 0;
    return beam->done_count;
}

struct beam_answer beam_answer(struct beam_search *beam, uint32_t index)
{
    const struct tip *tip = &beam->done[index];
    uint32_t node = tip->node;
    for (uint32_t at = tip->length; at > 0; at--, node = beam->nodes[node].parent) {
        beam->path[at - 1] = node;
        beam->shown[at - 1] = beam->nodes[node].token;
    }
    return (struct beam_answer){.tokens = beam->shown,
        .count = tip->end >= 0 ? tip->length - 1 : tip->length,
        .end = tip->end,
        .total = tip->total};
}

struct drawn beam_report(const struct beam_search *beam, uint32_t at)
{
    const struct node *node = &beam->nodes[beam->path[at]];
    struct drawn drawn = {.rank = node->rank,
        .logprob = node->logprob,
        .top_tokens = beam->top_tokens + (size_t)node->report * beam->spec.top,
        .top_logprobs = beam->top_logprobs + (size_t)node->report * beam->spec.top};
    while (drawn.top_count < beam->spec.top && drawn.top_tokens[drawn.top_count] != UINT32_MAX)
        drawn.top_count++;
    return drawn;
}
