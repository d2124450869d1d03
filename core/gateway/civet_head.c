/* How CivetWeb 1.15 leaves a head: NUL in place of the blanks behind method and target, of '?', of all white space
 * between the version and the first name, of a name's colon and each blank before it, of a value's CR and LF, and of
 * the head's last LF. All pieces lie in one buffer in the order they came. */
#include "config.h"

#include "core/gateway/civet_head.h"

#include <string.h>

static const char *put(struct buffer *out, const char *text)
{
    size_t length = strlen(text);
    buffer_put(out, text, length);
    return text + length;
}

/* What lies from `from` up to `to`, which is where the next piece starts; NULs as `nul`. */
static void put_between(struct buffer *out, const char *from, const char *to, char nul)
{
    for (; from < to && !out->failed; from++)
        buffer_putc(out, *from == '\0' ? nul : *from);
}

/* Method, target, query and version. Gives where the version ends. */
static const char *put_request_line(const struct mg_request_info *info, struct buffer *out)
{
    const char *end = put(out, info->request_method);
    put_between(out, end, info->request_uri, ' ');
    end = put(out, info->request_uri);
    if (info->query_string == end + 1) {
        buffer_putc(out, '?');
        end = put(out, info->query_string);
    }
    const char *version = info->http_version - 5;
    put_between(out, end, version, ' ');
    return put(out, version);
}

/* `end` is the end of a field's line: NUL for CR and for LF. Gives the next line. */
static const char *put_line_end(struct buffer *out, const char *end)
{
    if (end[1] != '\0') {
        buffer_putc(out, '\n'); /* a bare one: head_read refuses it */
        return end + 1;
    }
    buffer_puts(out, "\r\n");
    return end + 2;
}

static const char *put_field(struct buffer *out, const struct mg_header *header)
{
    const char *end = put(out, header->name);
    for (const char *at = end; at < header->value; at++) {
        bool last = at[0] == '\0' && at[1] != '\0';
        bool empty = at[0] == '\0' && at + 1 == header->value;
        if (*at == '\0')
            buffer_putc(out, last || empty ? ':' : ' ');
        else
            buffer_putc(out, *at);
    }
    return put(out, header->value);
}

void civet_head(const struct mg_request_info *info, size_t limit, struct buffer *out)
{
    const char *end = put_request_line(info, out);
    if (info->num_headers == 0) {
        if (memcmp(end, "\0\0\0", 4) == 0)
            buffer_puts(out, "\r\n\r\n");
        return;
    }
    /* More than CR and LF is a folded first line or an empty one. */
    if (info->http_headers[0].name != end + 2)
        return;
    buffer_puts(out, "\r\n");
    const char *line = end + 2;
    for (int i = 0; i < info->num_headers && out->length <= limit; i++) {
        if (info->http_headers[i].name != line)
            return;
        line = put_line_end(out, put_field(out, &info->http_headers[i]));
    }
    /* Only CR and the NUL of the last LF may be left: anything else is a line that CivetWeb did not take for one. */
    if (out->length <= limit && line[0] == '\r' && line[1] == '\0')
        buffer_puts(out, "\r\n");
}
