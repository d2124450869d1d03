/* The one gate before every handler. With keys, whoever shows one may pass; without any, the listeners are loopback
 * only, and what a web page could make a browser send (another origin, another host's name) is refused. A unix socket
 * is guarded by its file's mode, so its peers need no key. */
#include "config.h"

#include "core/base/error.h"
#include "core/gateway/request.h"
#include "core/gateway/routing.h"
#include "core/gateway/target.h"

#include <string.h>
#include <strings.h>

/* The key that the head shows; "" when it shows none. */
static const char *shown_key(const struct exchange *exchange)
{
    const char *authorization = exchange_header(exchange, "Authorization");
    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0)
        return authorization + 7 + strspn(authorization + 7, " ");
    const char *plain = exchange_header(exchange, "x-api-key");
    return plain != NULL ? plain : "";
}

static bool refuse_unknown(struct exchange *exchange)
{
    static const char openai_body[] = "{\"error\":\"Unauthorized\"}";
    exchange_add_header(exchange, "WWW-Authenticate", "Bearer");
    if (exchange->shape == SHAPE_OPENAI) {
        exchange_reply(exchange, 401, "application/json", openai_body, sizeof openai_body - 1);
        return false;
    }
    pdk_error err = {0};
    pdk_error_set(&err, PDK_UNAUTHENTICATED, NULL, "Unauthorized");
    exchange_fail(exchange, &err);
    return false;
}

/* Against pages in a browser of this machine: they cannot leave Origin out, nor choose Host. */
static bool admit_local(struct exchange *exchange)
{
    pdk_error err = {0};
    if (exchange_header(exchange, "Origin") != NULL) {
        pdk_error_set(&err, PDK_DENIED, NULL, "requests from web pages (Origin) are refused while no API key is set");
        exchange_fail(exchange, &err);
        return false;
    }
    char name[ENDPOINT_NAME_MAX];
    if (exchange->head.host == NULL)
        return true;
    if (target_host(exchange->head.host, name, sizeof name) &&
        (target_host_is_loopback(name) || routing_knows_host(exchange->gateway->control, name)))
        return true;
    pdk_error_set(&err, PDK_DENIED, NULL,
        "Host is neither this machine's loopback name nor a service's; set an API key to serve others");
    exchange_fail(exchange, &err);
    return false;
}

bool auth_admit(struct exchange *exchange)
{
    exchange->keys = gateway_keys(exchange->gateway);
    bool open = exchange->endpoint != NULL && exchange->endpoint->open;
    if (keys_count(exchange->keys) == 0)
        return exchange->from_unix || admit_local(exchange);
    const char *shown = shown_key(exchange);
    size_t length = strlen(shown);
    /* Absent and wrong keys take the same way. */
    exchange->key = keys_find(exchange->keys, shown, length < KEY_BYTES_MAX ? length : KEY_BYTES_MAX);
    if (exchange->key != NULL || open || exchange->from_unix)
        return true;
    return refuse_unknown(exchange);
}
