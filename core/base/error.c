/* Errors are fixed structs, so that reporting one needs no memory. Texts are cut at a character's border, since they
 * end up in JSON. */
#include "config.h"

#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Steps back over the bytes of a character that a cut at `length` would split. */
static size_t whole_characters(const char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return length;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return length - (start - 1) < need ? start - 1 : length;
}

static void copy_text(char *to, size_t room, const char *from)
{
    size_t length = strlen(from);
    if (length >= room)
        length = whole_characters(from, room - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

static void format_message(pdk_error *err, const char *format, va_list arguments)
{
    int written = vsnprintf(err->message, sizeof err->message, format, arguments);
    if (written >= (int)sizeof err->message)
        err->message[whole_characters(err->message, sizeof err->message - 1)] = '\0';
}

static void set_head(pdk_error *err, pdk_status status, const char *field)
{
    err->status = status;
    err->reserved = 0;
    err->value[0] = '\0';
    copy_text(err->field, sizeof err->field, field != NULL ? field : "");
}

pdk_status pdk_error_set(pdk_error *err, pdk_status status, const char *field, const char *format, ...)
{
    if (err == NULL)
        return status;
    set_head(err, status, field);
    va_list arguments;
    va_start(arguments, format);
    format_message(err, format, arguments);
    va_end(arguments);
    return status;
}

pdk_status pdk_error_value(
    pdk_error *err, pdk_status status, const char *field, const char *value, const char *format, ...)
{
    if (err == NULL)
        return status;
    set_head(err, status, field);
    copy_text(err->value, 65, value);
    for (char *c = err->value; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    va_list arguments;
    va_start(arguments, format);
    format_message(err, format, arguments);
    va_end(arguments);
    return status;
}

static pdk_status errno_status(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR: return PDK_NOT_FOUND;
    case EACCES:
    case EPERM: return PDK_DENIED;
    case ENOMEM: return PDK_NO_MEMORY;
    case ETIMEDOUT: return PDK_TIMEOUT;
    default: return PDK_IO;
    }
}

pdk_status pdk_error_errno(pdk_error *err, int number, const char *field, const char *format, ...)
{
    pdk_status status = errno_status(number);
    if (err == NULL)
        return status;
    set_head(err, status, field);
    va_list arguments;
    va_start(arguments, format);
    format_message(err, format, arguments);
    va_end(arguments);
    size_t length = strlen(err->message);
    snprintf(err->message + length, sizeof err->message - length, ": %s", strerror(number));
    return status;
}

pdk_status pdk_error_wrap(pdk_error *err, const char *format, ...)
{
    if (err == NULL)
        return PDK_INTERNAL;
    char inner[PDK_ERROR_MESSAGE_MAX];
    memcpy(inner, err->message, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    format_message(err, format, arguments);
    va_end(arguments);
    size_t length = strlen(err->message);
    int written = snprintf(err->message + length, sizeof err->message - length, ": %s", inner);
    if (written >= (int)(sizeof err->message - length))
        err->message[whole_characters(err->message, sizeof err->message - 1)] = '\0';
    return err->status;
}

const char *pdk_status_name(pdk_status status)
{
    static const char *const names[] = {
        [PDK_OK] = "ok",
        [PDK_INVALID] = "invalid",
        [PDK_NOT_FOUND] = "not found",
        [PDK_UNSUPPORTED] = "unsupported",
        [PDK_BUSY] = "busy",
        [PDK_FULL] = "full",
        [PDK_CANCELLED] = "cancelled",
        [PDK_UNAVAILABLE] = "unavailable",
        [PDK_TIMEOUT] = "timeout",
        [PDK_NO_MEMORY] = "no memory",
        [PDK_TOO_LARGE] = "too large",
        [PDK_DENIED] = "denied",
        [PDK_UNAUTHENTICATED] = "unauthenticated",
        [PDK_CONFLICT] = "conflict",
        [PDK_IO] = "io",
        [PDK_INTERNAL] = "internal",
    };
    _Static_assert(sizeof names / sizeof names[0] == PDK_STATUS_COUNT, "a status without a name");
    return status >= 0 && status < PDK_STATUS_COUNT ? names[status] : "unknown";
}
