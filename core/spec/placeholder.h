/* core/spec/placeholder.h: what may stand in arguments and variables: {{.Name}} and its kind (KServe renders them over
 * the service's metadata), $(VAR) (Kubernetes replaces it by a variable's value). */
#pragma once

#include "core/base/buffer.h"
#include "core/spec/resource.h"

/* {{.Name}}, {{.Namespace}}, {{.Labels.x}}, {{.Annotations.x}}; a missing label or annotation is "<no value>".
 * PDK_INVALID: any other template. Appends to `out`. */
pdk_status placeholder_render(const char *text, const struct resource *service, struct buffer *out, pdk_error *err);
/* $(VAR) by `environment`'s "VAR=value"; $$(VAR) is a literal $(VAR), an unknown one stays. Appends to `out`. */
void placeholder_expand(const char *text, char *const *environment, size_t count, struct buffer *out);
