/* core/gateway/anthropic/anthropic.h: Anthropic's Messages API, as a translation to a chat and back. Each handler
 * answers its exchange exactly once. */
#pragma once

struct exchange;

void anthropic_messages(struct exchange *exchange);     /* POST /v1/messages */
void anthropic_count_tokens(struct exchange *exchange); /* POST /v1/messages/count_tokens */
