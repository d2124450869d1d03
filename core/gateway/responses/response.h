/* core/gateway/responses/response.h: the response object, whole or while it comes. */
#pragma once

#include "core/gateway/openai/answer.h"
#include "core/gateway/responses/output.h"

struct response {
    const struct json *body; /* as the client sent it */
    const struct call *call; /* as a chat */
    struct answer *answer;
    struct output output;
    char id[256];
    bool logprobs; /* of output text are shown */
    bool finished;
};

/* "in_progress" without output, or how it ended. */
void response_write(struct json_writer *writer, const struct response *response);
