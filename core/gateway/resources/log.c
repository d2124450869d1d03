/* A pod's log: the last lines of its worker, and with follow=true what it writes from then on. Control has no way to
 * wake a reader, so a follower looks again a few times a second. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/gateway/request.h"
#include "core/gateway/resources/resources.h"
#include "core/gateway/target.h"

#include <poll.h>
#include <string.h>

enum { FOLLOW_MS = 250 };

static const char text_type[] = "text/plain";

struct log_request {
    const char *namespace_, *pod;
    bool follow, previous;
    uint64_t tail_lines, limit_bytes; /* UINT64_MAX: all */
};

static bool flag(const struct exchange *exchange, const char *name)
{
    char value[16];
    return exchange_parameter(exchange, name, value, sizeof value) && target_truth(value);
}

static bool read_number(const struct exchange *exchange, const char *name, uint64_t *ret_number, pdk_error *err)
{
    char value[32];
    *ret_number = UINT64_MAX;
    if (!exchange_parameter(exchange, name, value, sizeof value))
        return true;
    uint64_t number = 0;
    size_t length = strlen(value);
    if (length == 0 || length > 18 || strspn(value, "0123456789") != length) {
        pdk_error_value(err, PDK_INVALID, name, value, "%s must be a whole number, not '%.32s'", name, value);
        return false;
    }
    for (const char *c = value; *c != '\0'; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    *ret_number = number;
    return true;
}

static bool read_log_request(const struct exchange *exchange, struct log_request *request, pdk_error *err)
{
    static const char *const refused[] = {"sinceSeconds", "sinceTime", "stream"};
    *request = (struct log_request){.namespace_ = exchange_segment(exchange, "namespace"),
        .pod = exchange_segment(exchange, "name"),
        .follow = flag(exchange, "follow"),
        .previous = flag(exchange, "previous")};
    char value[64];
    if (exchange_parameter(exchange, "container", value, sizeof value) && *value != '\0' &&
        strcmp(value, "kserve-container") != 0) {
        pdk_error_value(
            err, PDK_INVALID, "container", value, "container %.64s is not valid for pod %.253s", value, request->pod);
        return false;
    }
    if (flag(exchange, "timestamps")) {
        pdk_error_set(err, PDK_UNSUPPORTED, "timestamps", "timestamps is not served: the lines carry none");
        return false;
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (exchange_parameter(exchange, refused[i], value, sizeof value)) {
            pdk_error_value(
                err, PDK_UNSUPPORTED, refused[i], value, "%s is not served; tailLines and limitBytes are", refused[i]);
            return false;
        }
    return read_number(exchange, "tailLines", &request->tail_lines, err) &&
           read_number(exchange, "limitBytes", &request->limit_bytes, err);
}

/* A key that is limited to some services sees no other's log. */
static bool may_read(const struct exchange *exchange, const struct log_request *request)
{
    const struct routes *routes = control_routes(exchange_control(exchange));
    bool allowed = true;
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        if (service->pod_name != NULL && strcmp(service->pod_name, request->pod) == 0 &&
            strcmp(service->namespace_, request->namespace_) == 0)
            allowed = exchange_may_use(exchange, service);
    }
    routes_unref(routes);
    return allowed;
}

/* Where the last `lines` lines start. */
static size_t tail_start(const struct buffer *text, uint64_t lines)
{
    size_t at = text->length;
    if (lines == UINT64_MAX)
        return 0;
    if (lines == 0)
        return at;
    if (at > 0 && text->data[at - 1] == '\n')
        at--;
    while (at > 0) {
        if (text->data[at - 1] == '\n' && --lines == 0)
            break;
        at--;
    }
    return at;
}

static bool client_left(const struct exchange *exchange)
{
    struct pollfd client = {.fd = exchange_client_fd(exchange), .events = POLLRDHUP};
    return client.fd >= 0 && poll(&client, 1, FOLLOW_MS) > 0 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void follow(struct exchange *exchange, const struct log_request *request, uint64_t position, uint64_t left)
{
    while (left > 0 && !gateway_is_draining(exchange->gateway)) {
        PDK_CLEANUP(buffer_done) struct buffer text = {0};
        pdk_error err = {0};
        uint64_t next = position;
        if (client_left(exchange) || control_pod_log(exchange_control(exchange), request->namespace_, request->pod,
                                         request->previous, position, &text, &next, &err) != PDK_OK)
            return;
        size_t length = text.length < left ? text.length : (size_t)left;
        if (length > 0 && !exchange_stream_write(exchange, text.data, length))
            return;
        if (left != UINT64_MAX)
            left -= length;
        position = next;
        if (exchange_client_fd(exchange) < 0)
            nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
    }
}

void resources_pod_log(struct exchange *exchange)
{
    struct log_request request;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    uint64_t next = 0;
    pdk_error err = {0};
    if (!read_log_request(exchange, &request, &err)) {
        exchange_fail(exchange, &err);
        return;
    }
    pdk_status status = PDK_OK;
    if (!may_read(exchange, &request))
        status = pdk_error_set(&err, PDK_NOT_FOUND, "pod", "pods \"%.253s\" not found", request.pod);
    else
        status = control_pod_log(
            exchange_control(exchange), request.namespace_, request.pod, request.previous, 0, &text, &next, &err);
    if (status != PDK_OK) {
        exchange_fail(exchange, &err);
        return;
    }
    size_t start = tail_start(&text, request.tail_lines);
    size_t length = text.length - start < request.limit_bytes ? text.length - start : (size_t)request.limit_bytes;
    const char *first = text.data != NULL ? text.data + start : "";
    if (!request.follow) {
        exchange_reply(exchange, 200, text_type, first, length);
        return;
    }
    uint64_t left = request.limit_bytes == UINT64_MAX ? UINT64_MAX : request.limit_bytes - length;
    if (!exchange_stream_begin(exchange, 200, text_type) || !exchange_stream_write(exchange, first, length))
        return;
    buffer_done(&text);
    follow(exchange, &request, next, left);
    exchange_stream_end(exchange);
}
