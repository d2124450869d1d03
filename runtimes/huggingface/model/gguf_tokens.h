/* runtimes/huggingface/model/gguf_tokens.h: a GGUF's vocabulary against the model that it comes with. */
#pragma once

#include "runtimes/huggingface/model/gguf.h"

/* No more tokens than the embedding has rows, and no two alike: the error names both ids. A file without a vocabulary
 * is fine. */
pdk_status gguf_tokens_check(const struct gguf *gguf, uint32_t rows, pdk_error *err);
