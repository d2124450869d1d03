/* core/gateway/openai/refusal.h: the two forms in which vLLM refuses a body. Clients and tests match on the texts. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>

/* A named check. The exchange puts " (parameter=FIELD, value=VALUE)" behind the sentence, less the value when it is
 * NULL; with `field` NULL the sentence stands alone and the answer's `param` is null. Returns PDK_INVALID. */
pdk_status refuse(pdk_error *err, const char *field, const char *value, const char *format, ...) PDK_PRINTF(4, 5);

/* A wrong type or shape, which vLLM answers with a dump of its validator's findings: the kind of finding, where it is
 * ("body.prompt.0") and what should be there. Returns PDK_INVALID. */
pdk_status refuse_type(pdk_error *err, const char *location, const char *kind, const char *should);

/* A number as Python writes a float: 1.0, 1e-05. */
struct real_text {
    char text[40];
};
struct real_text real_text(double value);
