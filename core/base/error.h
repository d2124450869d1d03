/* core/base/error.h: filling a pdk_error. Each returns the status it stored, so that a failure is one return line. */
#pragma once

#include <paddock/abi.h>

/* Sets all of it; `field` may be NULL. `err` may be NULL. */
pdk_status pdk_error_set(pdk_error *err, pdk_status status, const char *field, const char *format, ...)
    PDK_PRINTF(4, 5);
/* The same with the offending value, of which at most 64 bytes are kept, unprintable ones as '?'. */
pdk_status pdk_error_value(
    pdk_error *err, pdk_status status, const char *field, const char *value, const char *format, ...) PDK_PRINTF(5, 6);
/* Status by errno (ENOENT: not found, EACCES: denied, ENOMEM: no memory, else io); the message ends in its text. */
pdk_status pdk_error_errno(pdk_error *err, int number, const char *field, const char *format, ...) PDK_PRINTF(4, 5);
/* Puts "CONTEXT: " before the message; returns the status that is there. */
pdk_status pdk_error_wrap(pdk_error *err, const char *format, ...) PDK_PRINTF(2, 3);

/* A lower-case name of a status ("not found"), for logs. Static. */
const char *pdk_status_name(pdk_status status);
