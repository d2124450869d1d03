/* core/gateway/target.h: what a request's target and Host say, decoded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Decodes the path `raw` into `path` (room for strlen(raw) + 1). False: a bad escape, an escaped '/' or NUL, a control
 * byte, a segment "." or "..", an empty segment at the start, or invalid UTF-8. */
bool target_decode(const char *raw, char *path);

/* Looks for `name` in a query as sent. The value is decoded, '+' being a blank. False: not there, malformed, or longer
 * than room - 1. */
bool target_parameter(const char *query, const char *name, char *value, size_t room);

/* A boolean as Go's ParseBool reads it; anything else is false. */
bool target_truth(const char *value);

/* The name in a Host without its port, lower case, without a dot at the end. False: malformed or too long. */
bool target_host(const char *host, char *name, size_t room);

/* Whether that name is this machine's own: localhost, 127.x.x.x, [::1]. */
bool target_host_is_loopback(const char *name);
