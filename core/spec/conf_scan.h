/* core/spec/conf_scan.h: what libconfig does not check, checked on the text before libconfig sees it. */
#pragma once

#include <paddock/abi.h>
#include <stddef.h>

/* PDK_INVALID with the line: an integer out of the range of its type (32 bits, with L 64), a real that is not finite,
 * @include, NUL, invalid UTF-8, nesting over 64 levels, more than 10,000 values, an unterminated text or comment. */
pdk_status conf_scan(const char *text, size_t length, pdk_error *err);
