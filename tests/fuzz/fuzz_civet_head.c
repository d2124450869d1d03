/* A head cut up as CivetWeb 1.15 does it and put together again is, wherever it is taken, the head that came: nothing
 * that CivetWeb overlooked is lost on the way. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/gateway/civet_head.h"
#include "core/gateway/head.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Length of the head, as CivetWeb sees its end; 0: refused or not there. */
static size_t civet_end(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 128 && c != '\r' && c != '\n' && !isprint(c))
            return 0;
        if (i + 1 < size && text[i] == '\n' && text[i + 1] == '\n')
            return i + 2;
        if (i + 3 < size && memcmp(text + i, "\r\n\r\n", 4) == 0)
            return i + 4;
    }
    return 0;
}

/* Ends the word at *at and moves on to the next. */
static bool cut_word(char **at, bool line_end)
{
    while (isgraph((unsigned char)**at))
        (*at)++;
    if (line_end ? **at != '\r' && **at != '\n' : **at != ' ')
        return false;
    do
        *(*at)++ = '\0';
    while (isspace((unsigned char)**at));
    return line_end || isgraph((unsigned char)**at);
}

/* Cuts one field; 1: there may be more, 0: that was the last, -1: malformed. */
static int cut_field(char **at, struct mg_header *header)
{
    char *dp = *at;
    while (*dp != ':' && *dp >= 33 && *dp <= 126)
        dp++;
    if (dp == *at)
        return 0;
    while (*dp == ' ')
        *dp++ = '\0';
    if (*dp != ':')
        return -1;
    *dp = '\0';
    header->name = *at;
    do
        dp++;
    while (*dp == ' ' || *dp == '\t');
    header->value = dp;
    while (*dp != '\0' && *dp != '\r' && *dp != '\n')
        dp++;
    if (*dp == '\r') {
        *dp++ = '\0';
        if (*dp != '\n')
            return -1;
    }
    if (*dp == '\0') {
        *at = dp;
        return 2;
    }
    *dp++ = '\0';
    *at = dp;
    return *dp == '\r' || *dp == '\n' ? 2 : 1;
}

static bool cut_like_civetweb(char *text, size_t end, struct mg_request_info *info)
{
    char *at = text;
    text[end - 1] = '\0';
    info->request_method = at;
    if (*at == '\0' || isspace((unsigned char)*at) || !cut_word(&at, false))
        return false;
    info->request_uri = at;
    if (!cut_word(&at, false))
        return false;
    info->http_version = at;
    if (!cut_word(&at, true) || strncmp(info->http_version, "HTTP/", 5) != 0)
        return false;
    info->http_version += 5;
    while (info->num_headers < MG_MAX_HEADERS) {
        int more = cut_field(&at, &info->http_headers[info->num_headers]);
        if (more < 0)
            return false;
        info->num_headers += more > 0;
        if (more != 1)
            break;
    }
    char *query = strchr(info->request_uri, '?');
    if (query != NULL) {
        *query = '\0';
        info->query_string = query + 1;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SLACK = 4 };
    struct mg_request_info info = {0};
    char *text = calloc(1, size + SLACK);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    size_t end = civet_end(text, size);
    if (end != 0 && cut_like_civetweb(text, end, &info)) {
        PDK_CLEANUP(buffer_done) struct buffer out = {0};
        civet_head(&info, 16384, &out);
        struct head head;
        if (head_read(&head, out.data, out.length) == NULL) {
            /* The two bytes behind the version are white space of some kind, of which CivetWeb leaves no trace; so is
             * all that follows where there is no field. */
            size_t version = (size_t)(info.http_version - text) + strlen(info.http_version);
            bool bare = memcmp(data + end - 2, "\n\n", 2) == 0 || info.num_headers == 0;
            assert(bare || (out.length == end && memcmp(out.data, data, version) == 0 &&
                               memcmp(out.data + version + 2, data + version + 2, end - version - 2) == 0));
            head_done(&head);
        }
    }
    free(text);
    return 0;
}
