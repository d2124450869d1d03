/* core/gateway/pooling/pooling.h: the endpoints of models that make vectors and scores, as vLLM has them. Each handler
 * answers its exchange exactly once; core/gateway/endpoints.c says which paths they stand at. */
#pragma once

struct exchange;

void pooling_embeddings(struct exchange *exchange); /* POST /v1/embeddings */
void pooling_classify(struct exchange *exchange);   /* POST /classify */
void pooling_pool(struct exchange *exchange);       /* POST /pooling */
void pooling_score(struct exchange *exchange);      /* POST /score, /v1/score */
void pooling_rerank(struct exchange *exchange);     /* POST /rerank, /v1/rerank, /v2/rerank */
