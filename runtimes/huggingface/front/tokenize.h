/* runtimes/huggingface/front/tokenize.h: answers to PDK_KIND_TOKENIZE and PDK_KIND_DETOKENIZE. */
#pragma once

#include "runtimes/huggingface/front/served.h"

/* Sends the one part of the answer; the caller finishes the response. [front-thread] */
pdk_status tokenize_answer(
    const struct served *served, const pdk_request *request, pdk_response *response, pdk_error *err);
