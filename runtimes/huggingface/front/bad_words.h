/* runtimes/huggingface/front/bad_words.h: words that may not come, as the token sequences that would write them. */
#pragma once

#include "runtimes/huggingface/sampling/rules.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"

/* Adds the request's bad words to `rules`: each without a leading space, and with one where that is another first token
 * of as many tokens. */
pdk_status bad_words_resolve(
    const struct tokenizer *tokenizer, const pdk_request *request, struct sampling_rules *rules, pdk_error *err);
