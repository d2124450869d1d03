/* runtimes/huggingface/options.h: every argument that vLLM's server and KServe's huggingfaceserver take, and what
 * becomes of it here: used, accepted with a note, or refused with a reason. */
#pragma once

#include <paddock/draft/options.h>

extern const pdk_options huggingface_options;
