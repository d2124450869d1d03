/* The head is copied once and cut into strings in that copy. Every line ends in CRLF; a bare LF, a folded line, a blank
 * before the colon and an empty name are the tricks by which one request is smuggled inside another, so none is mended.
 */
#include "config.h"

#include "core/gateway/head.h"

#include "core/base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct head_fault head_fault_malformed = {.status = 400, .message = "the request's head is malformed"};
const struct head_fault head_fault_too_large = {
    .status = 431, .message = "the request's head is too large", .over = true, .limit = LIMIT_HEAD_BYTES};
const struct head_fault head_fault_too_many = {
    .status = 431, .message = "the request has too many header lines", .over = true, .limit = LIMIT_HEADERS};
const struct head_fault head_fault_timeout = {
    .status = 408, .message = "the request's head did not arrive in time", .over = true, .limit = LIMIT_HEAD_MS};
const struct head_fault head_fault_version = {.status = 505, .message = "only HTTP/1.0 and HTTP/1.1 are spoken here"};

static const struct head_fault bare_newline = {.status = 400, .message = "a line of the head does not end in CRLF"},
                               bad_line = {.status = 400, .message = "the request line is malformed"},
                               bad_target = {.status = 400, .message = "the request's target must be a path"},
                               bad_name = {.status = 400,
                                   .message = "a header's name is empty, folded or holds a byte that no name may"},
                               bad_value = {.status = 400, .message = "a header's value holds a control byte"},
                               bad_host = {.status = 400, .message = "Host is malformed"},
                               no_host = {.status = 400, .message = "Host is missing"},
                               two_hosts = {.status = 400, .message = "Host is there twice"},
                               two_lengths = {.status = 400, .message = "Content-Length is there twice"},
                               bad_length = {.status = 400, .message = "Content-Length is not a number"},
                               two_framings = {.status = 400,
                                   .message = "Content-Length and Transfer-Encoding exclude each other"},
                               bad_encoding = {.status = 400, .message = "Transfer-Encoding must be exactly 'chunked'"},
                               early_encoding = {.status = 400, .message = "Transfer-Encoding needs HTTP/1.1"},
                               bad_expect = {.status = 417, .message = "Expect may only be '100-continue'"},
                               no_memory = {.status = 503, .message = "out of memory"};

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && strchr("!#$%&'*+-.^_`|~", c) == NULL)
            return false;
    }
    return true;
}

/* A name, an address or [an IPv6 address], perhaps with a port. */
static bool is_host(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > 260)
        return false;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && strchr(".-_:[]", c) == NULL)
            return false;
    }
    return true;
}

/* The comma-separated list `value` holds `option`, in any case. */
static bool has_option(const char *value, const char *option)
{
    size_t length = strlen(option);
    while (*value != '\0') {
        value += strspn(value, " \t,");
        size_t item = strcspn(value, ",");
        size_t end = item;
        while (end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'))
            end--;
        if (end == length && strncasecmp(value, option, length) == 0)
            return true;
        value += item;
    }
    return false;
}

static const struct head_fault *read_length(struct head *head, const char *value)
{
    if (head->body == HEAD_BODY_LENGTH)
        return &two_lengths;
    if (*value == '\0' || strlen(value) > 20)
        return &bad_length;
    uint64_t length = 0;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c < '0' || *c > '9')
            return &bad_length;
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(*c - '0'), &length))
            return &bad_length;
    }
    head->content_length = length;
    head->body = HEAD_BODY_LENGTH;
    return NULL;
}

/* What single fields ask for; framing is settled over the whole list. */
static const struct head_fault *read_fields(struct head *head)
{
    bool chunked = false;
    for (size_t i = 0; i < head->count; i++) {
        const char *name = head->fields[i].name, *value = head->fields[i].value;
        const struct head_fault *fault = NULL;
        if (strcasecmp(name, "Host") == 0) {
            fault = head->host != NULL ? &two_hosts : is_host(value) ? NULL : &bad_host;
            head->host = value;
        } else if (strcasecmp(name, "Content-Length") == 0) {
            fault = read_length(head, value);
        } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
            fault = chunked || strcasecmp(value, "chunked") != 0 ? &bad_encoding
                    : head->minor == 0                           ? &early_encoding
                                                                 : NULL;
            chunked = true;
        } else if (strcasecmp(name, "Expect") == 0) {
            head->expect_continue = strcasecmp(value, "100-continue") == 0;
            fault = head->expect_continue ? NULL : &bad_expect;
        } else if (strcasecmp(name, "Connection") == 0) {
            if (has_option(value, "close"))
                head->keep_alive = false;
            else if (head->minor == 0)
                head->keep_alive = has_option(value, "keep-alive");
        }
        if (fault != NULL)
            return fault;
    }
    if (head->host == NULL && head->minor > 0)
        return &no_host;
    if (chunked && head->body == HEAD_BODY_LENGTH)
        return &two_framings;
    if (chunked)
        head->body = HEAD_BODY_CHUNKED;
    if (head->body == HEAD_BODY_LENGTH && head->content_length == 0)
        head->body = HEAD_BODY_NONE;
    return NULL;
}

/* Ends the line at `line` and gives the start of the next; NULL: no CRLF follows, or a control byte stands in it. */
static char *cut_line(char *line, char *end)
{
    char *newline = memchr(line, '\n', (size_t)(end - line));
    if (newline == NULL || newline == line || newline[-1] != '\r')
        return NULL;
    newline[-1] = '\0';
    return newline + 1;
}

static const struct head_fault *read_line(struct head *head, char *line)
{
    char *space = strchr(line, ' ');
    char *second = space != NULL ? strchr(space + 1, ' ') : NULL;
    if (second == NULL || strchr(second + 1, ' ') != NULL)
        return &bad_line;
    *space = *second = '\0';
    head->method = line;
    head->target = space + 1;
    const char *version = second + 1;
    if (!is_token(line))
        return &bad_line;
    if (strncmp(version, "HTTP/", 5) != 0)
        return &bad_line;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return &head_fault_version;
    head->minor = (unsigned)(version[7] - '0');
    head->keep_alive = head->minor > 0;
    if (*head->target != '/')
        return &bad_target;
    for (const char *c = head->target; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F || *c == '#')
            return &bad_target;
    char *query = strchr(space + 1, '?');
    head->query = "";
    if (query != NULL) {
        *query = '\0';
        head->query = query + 1;
    }
    return NULL;
}

static const struct head_fault *read_field(struct head *head, char *line)
{
    if (head->count >= limit_get(LIMIT_HEADERS))
        return &head_fault_too_many;
    char *colon = strchr(line, ':');
    if (colon == NULL)
        return &bad_name;
    *colon = '\0';
    if (!is_token(line))
        return &bad_name;
    char *value = colon + 1;
    value += strspn(value, " \t");
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        value[--length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7F)
            return &bad_value;
    if (!array_grow(&head->fields, &head->room, head->count + 1))
        return &no_memory;
    head->fields[head->count++] = (struct head_field){line, value};
    return NULL;
}

static const struct head_fault *read_lines(struct head *head, size_t length)
{
    char *at = head->text, *end = head->text + length;
    for (bool first = true;; first = false) {
        char *next = cut_line(at, end);
        if (next == NULL)
            return &bare_newline;
        if (*at == '\0' && !first)
            return next == end ? read_fields(head) : &head_fault_malformed;
        const struct head_fault *fault = first ? read_line(head, at) : read_field(head, at);
        if (fault != NULL)
            return fault;
        at = next;
    }
}

const struct head_fault *head_read(struct head *head, const char *text, size_t length)
{
    *head = (struct head){0};
    if (length > limit_get(LIMIT_HEAD_BYTES))
        return &head_fault_too_large;
    if (length == 0 || memchr(text, '\0', length) != NULL)
        return &head_fault_malformed;
    head->text = malloc(length + 1);
    if (head->text == NULL)
        return &no_memory;
    memcpy(head->text, text, length);
    head->text[length] = '\0';
    const struct head_fault *fault = read_lines(head, length);
    if (fault != NULL)
        head_done(head);
    return fault;
}

void head_fault_text(const struct head_fault *fault, char *text, size_t room)
{
    const struct limit_row *row = limit_row(fault->limit);
    if (fault->over)
        snprintf(text, room, "%s (limit %s: %" PRIu64 "%s%s)", fault->message, row->name, limit_get(fault->limit),
            *row->unit != '\0' ? " " : "", row->unit);
    else
        snprintf(text, room, "%s", fault->message);
}

void head_done(struct head *head)
{
    free(head->text);
    free(head->fields);
    *head = (struct head){0};
}

const char *head_field(const struct head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0)
            return head->fields[i].value;
    return NULL;
}

size_t head_end(const char *text, size_t length, size_t from)
{
    size_t at = from > 3 ? from - 3 : 0;
    while (at + 4 <= length) {
        const char *newline = memchr(text + at, '\r', length - at - 3);
        if (newline == NULL)
            return 0;
        if (memcmp(newline, "\r\n\r\n", 4) == 0)
            return (size_t)(newline - text) + 4;
        at = (size_t)(newline - text) + 1;
    }
    return 0;
}
