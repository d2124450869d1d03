/* core/spec/conf_scan.h: libconfig's grammar and lexical rules, checked on the text before libconfig sees it: the
 * library lets integers wrap and files include others, and loses memory at a syntax error. */
#pragma once

#include <paddock/abi.h>
#include <stddef.h>

/* PDK_INVALID with the line: what is no libconfig; an integer out of the range of its type (32 bits, with L 64), a real
 * that is not finite, @include, NUL, invalid UTF-8, nesting over 64 levels, more than 10,000 values. */
pdk_status conf_scan(const char *text, size_t length, pdk_error *err);
