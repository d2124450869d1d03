/* core/gateway/resources/table.h: objects as the Table that kubectl prints. */
#pragma once

#include "core/base/json.h"
#include "core/gateway/resources/objects.h"

#include <stdint.h>

/* The Table's start, up to and with "rows":[. */
void table_begin(struct json_writer *writer, enum resource_kind kind, const char *version);
/* One row; `whole`: the object itself stands in it, not its metadata alone. `now` in Unix seconds. */
void table_row(struct json_writer *writer, enum resource_kind kind, const struct json *object, bool whole, int64_t now);
void table_end(struct json_writer *writer);
/* An age as Kubernetes writes it: 90s, 3m30s, 45m, 3h5m, 27h, 3d4h, 200d, 2y30d. `text` has room for 24. */
void table_age(int64_t seconds, char *text);
