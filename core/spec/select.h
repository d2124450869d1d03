/* core/spec/select.h: which runtime serves a service, by KServe's rules. */
#pragma once

#include "core/spec/resource.h"

/* Why a service cannot run as it stands: KServe's reason for status.modelStatus.lastFailureInfo. */
#define REASON_NO_RUNTIME "RuntimeNotRecognized"
#define REASON_DISABLED   "RuntimeDisabled"
#define REASON_NO_SUPPORT "NoSupportingRuntime"
#define REASON_SPEC       "InvalidPredictorSpec"
#define REASON_LOAD       "ModelLoadFailed"

/* Gives `ret_runtime`, which lives in the set. On failure `ret_reason` is set, and err->message is KServe's sentence,
 * with the names at hand behind it. */
pdk_status runtime_select(const struct resource_set *set, const struct resource *service,
    const struct resource **ret_runtime, const char **ret_reason, pdk_error *err);
/* The lowest protocol that a runtime lists ("v1"), or NULL. */
const char *runtime_lowest_protocol(const struct resource *runtime);
/* A runtime's kserve-container, or NULL. */
const struct json *runtime_container(const struct resource *runtime);
