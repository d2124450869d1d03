/* core/spec/quantity.h: Kubernetes' resource quantities: "500m", "2", "0.5", "4Gi", "1e3", "100M". */
#pragma once

#include "core/base/json.h"

/* CPUs in thousandths, rounded up. `field` names it in errors. */
pdk_status quantity_cpu(const struct json *value, const char *field, uint64_t *ret_milli, pdk_error *err);
/* Bytes, rounded up. */
pdk_status quantity_bytes(const struct json *value, const char *field, uint64_t *ret_bytes, pdk_error *err);
/* Whether `value` is one at all. */
pdk_status quantity_check(const struct json *value, const char *field, pdk_error *err);
/* "5.1 GiB", for messages. */
void quantity_print_bytes(uint64_t bytes, char text[24]);
