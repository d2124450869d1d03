/* core/spec/service_rules.h: what KServe's webhooks do with an InferenceService beyond its schema: refuse, and rewrite.
 */
#pragma once

#include "core/spec/schema_check.h"

/* The checks of admission, with KServe's texts where it has them. */
pdk_status service_admit(const struct json *root, const struct spec_source *source, pdk_error *err);
/* Old forms (`predictor.sklearn`) become `model`, protocol defaults and the modelFormat annotation are filled in. */
pdk_status service_rewrite(struct json_document *tree, struct json *root, pdk_error *err);
/* Container rules that runtimes share: PYTHONPATH, one kserve-container. */
pdk_status runtime_admit(const struct json *root, const struct spec_source *source, pdk_error *err);
