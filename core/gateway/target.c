/* See the header. */
#include "config.h"

#include "core/gateway/target.h"

#include "core/base/utf8.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that "%XY" at `text` stands for, or -1. */
static int escape_value(const char *text)
{
    int high = hex_digit(text[1]);
    int low = high < 0 ? -1 : hex_digit(text[2]);
    return low < 0 ? -1 : high << 4 | low;
}

/* No segment steps out of its place. */
static bool segments_stay(const char *path)
{
    if (path[0] == '/' && path[1] == '/')
        return false;
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        size_t length = strcspn(at, "/");
        if ((length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
    }
    return true;
}

bool target_decode(const char *raw, char *path)
{
    size_t length = 0;
    for (const char *c = raw; *c != '\0'; c++) {
        int byte = (unsigned char)*c;
        if (*c == '%') {
            byte = escape_value(c);
            if (byte < 0 || byte == '/')
                return false;
            c += 2;
        }
        if (byte < 0x20 || byte == 0x7F || byte == '\\')
            return false;
        path[length++] = (char)byte;
    }
    path[length] = '\0';
    size_t bad;
    return utf8_valid(path, length, &bad) && segments_stay(path);
}

/* Decodes raw[0 … length) of a query. */
static bool decode_value(const char *raw, size_t length, char *value, size_t room)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = raw[i] == '+' ? ' ' : (unsigned char)raw[i];
        if (raw[i] == '%') {
            byte = length - i < 3 ? -1 : escape_value(raw + i);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7F || out + 1 >= room)
            return false;
        value[out++] = (char)byte;
    }
    value[out] = '\0';
    size_t bad;
    return utf8_valid(value, out, &bad);
}

bool target_parameter(const char *query, const char *name, char *value, size_t room)
{
    size_t name_length = strlen(name);
    while (*query != '\0') {
        size_t length = strcspn(query, "&");
        if (length > name_length && query[name_length] == '=' && memcmp(query, name, name_length) == 0)
            return room > 0 && decode_value(query + name_length + 1, length - name_length - 1, value, room);
        if (length == name_length && memcmp(query, name, length) == 0 && room > 0) {
            value[0] = '\0';
            return true;
        }
        query += length;
        query += *query == '&';
    }
    return false;
}

bool target_truth(const char *value)
{
    static const char *const truths[] = {"1", "t", "T", "true", "True", "TRUE"};
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++)
        if (strcmp(value, truths[i]) == 0)
            return true;
    return false;
}

bool target_host(const char *host, char *name, size_t room)
{
    size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (length > strlen(host))
        return false;
    const char *port = host + length;
    if (*port != '\0' && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    if (length > 1 && host[length - 1] == '.')
        length--;
    if (length == 0 || length + 1 > room)
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
    name[length] = '\0';
    return true;
}

bool target_host_is_loopback(const char *name)
{
    if (strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
        return true;
    /* 127.0.0.1 and its block; "127.evil.example" is a name, not an address. */
    return strncmp(name, "127.", 4) == 0 && strspn(name, "0123456789.") == strlen(name);
}
