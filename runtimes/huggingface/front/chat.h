/* runtimes/huggingface/front/chat.h: messages through the chat template. */
#pragma once

#include "runtimes/huggingface/front/served.h"

#include <paddock/draft/request.h>

/* Renders the request's messages. `output` is zeroed before; template_output_done frees it. PDK_INVALID: the template's
 * own refusal, a variable that is not the client's to set, a part that is not text. */
pdk_status chat_render(
    const struct served *served, const pdk_request *request, struct template_output *output, pdk_error *err);

/* What template variables say to those who read the answer. */
struct chat_switches {
    int thinking;       /* enable_thinking or thinking: 1, 0, or -1 where neither is there */
    bool force_content; /* force_nonempty_content */
};
pdk_status chat_switches_read(
    const struct served *served, const pdk_request *request, struct chat_switches *ret_switches, pdk_error *err);
