/* core/gateway/pooling/pairs.h: what is scored: pairs of texts, and the scores of them, by a cross-encoder or as the
 * cosine of two embeddings. */
#pragma once

#include "core/gateway/openai/call.h"

struct exchange;
struct service_view;

struct pairs {
    pdk_string *first, *second; /* of the call's memory */
    size_t first_count, second_count;
    size_t count;    /* of pairs: second_count, or 0 until pairs_check */
    float *scores;   /* [count], of the call's memory */
    uint64_t tokens; /* of all pairs */
};

/* Types of both sides: each a text or a list of texts. */
pdk_status pairs_read(struct call *call, struct pairs *ret_pairs, pdk_error *err);
/* 1:1, 1:N or N:N. */
pdk_status pairs_check(struct pairs *pairs, pdk_error *err);
pdk_status pairs_score(struct exchange *exchange, struct call *call, const struct service_view *service,
    struct pairs *pairs, pdk_error *err);
