/* core/gateway/responses/responses.h: OpenAI's Responses API, as a translation to a chat and back. Each handler answers
 * its exchange exactly once. */
#pragma once

struct exchange;

void responses_create(struct exchange *exchange); /* POST /v1/responses */
void responses_get(struct exchange *exchange);    /* GET /v1/responses/{id} */
void responses_cancel(struct exchange *exchange); /* POST /v1/responses/{id}/cancel */
