/* A path, a query and a Host, one a line: what is decoded is clean, finds its endpoint or none, and holds no way out.
 */
#include "config.h"

#include "core/base/utf8.h"
#include "core/gateway/endpoints.h"
#include "core/gateway/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *raw)
{
    static struct endpoint_segments segments;
    char allow[ENDPOINT_ALLOW_MAX], namespace_[ENDPOINT_NAME_MAX], name[ENDPOINT_NAME_MAX];
    enum endpoint_shape shape;
    char *path = malloc(strlen(raw) + 1);
    if (path != NULL && target_decode(raw, path)) {
        size_t bad;
        assert(strlen(path) <= strlen(raw) && utf8_valid(path, strlen(path), &bad));
        assert(strstr(path, "/../") == NULL && strpbrk(path, "\r\n\\") == NULL);
        const char *rest = endpoint_service_prefix(path, namespace_, name, sizeof name);
        const struct endpoint *row = endpoint_find("GET", rest, &segments, allow, &shape);
        assert(row == NULL || segments.count <= ENDPOINT_SEGMENTS_MAX);
    }
    free(path);
}

static void check_query(const char *query)
{
    char value[32];
    static const char *const names[] = {"a", "labelSelector", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (target_parameter(query, names[i], value, sizeof value)) {
            assert(strlen(value) < sizeof value);
            target_truth(value);
        }
}

static void check_host(const char *host)
{
    char name[ENDPOINT_NAME_MAX];
    if (target_host(host, name, sizeof name)) {
        assert(name[0] != '\0' && strlen(name) <= strlen(host));
        target_host_is_loopback(name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 3);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    memset(text + size, 0, 3);
    char *query = strchr(text, '\n');
    if (query != NULL)
        *query++ = '\0';
    char *host = query != NULL ? strchr(query, '\n') : NULL;
    if (host != NULL)
        *host++ = '\0';
    check_path(text);
    if (query != NULL)
        check_query(query);
    if (host != NULL)
        check_host(host);
    free(text);
    return 0;
}
