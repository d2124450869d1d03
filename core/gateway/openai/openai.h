/* core/gateway/openai/openai.h: the OpenAI protocol, as vLLM speaks it, over the neutral request. Each handler answers
 * its exchange exactly once; core/gateway/endpoints.c says which paths they stand at. */
#pragma once

struct exchange;

void openai_models(struct exchange *exchange);           /* GET /v1/models */
void openai_model(struct exchange *exchange);            /* GET /v1/models/NAME; a NAME may hold slashes */
void openai_completions(struct exchange *exchange);      /* POST /v1/completions */
void openai_chat_completions(struct exchange *exchange); /* POST /v1/chat/completions */
void openai_chat_batch(struct exchange *exchange);       /* POST /v1/chat/completions/batch */
void openai_tokenize(struct exchange *exchange);         /* POST /tokenize */
void openai_detokenize(struct exchange *exchange);       /* POST /detokenize */
void openai_tokenizer_info(struct exchange *exchange);   /* GET /tokenizer_info */
void openai_version(struct exchange *exchange);          /* GET /version */
void openai_health(struct exchange *exchange);           /* GET /health */
void openai_ping(struct exchange *exchange);             /* GET, POST /ping */
void openai_load(struct exchange *exchange);             /* GET /load */

void openai_invocations(struct exchange *exchange); /* POST /invocations */

/* An operation that is known and not served: 501, which names it. */
void openai_refuse_operation(struct exchange *exchange);
