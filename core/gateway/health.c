/* A broken model must not get the daemon restarted: no answer here looks at one. */
#include "config.h"

#include "core/gateway/health.h"

#include "core/base/cleanup.h"
#include "core/base/json.h"
#include "core/gateway/request.h"

#if defined(__x86_64__)
#define MACHINE "amd64"
#elif defined(__aarch64__)
#define MACHINE "arm64"
#else
#define MACHINE "unknown"
#endif

void health_live(struct exchange *exchange)
{
    exchange_reply(exchange, 200, "text/plain; charset=utf-8", "ok", 2);
}

void health_ready(struct exchange *exchange)
{
    static const char text[] = "draining";
    if (control_is_draining(exchange_control(exchange)) || gateway_is_draining(exchange->gateway))
        exchange_reply(exchange, 503, "text/plain; charset=utf-8", text, sizeof text - 1);
    else
        health_live(exchange);
}

void health_version(struct exchange *exchange)
{
    /* kubectl warns of more than one minor version between it and the server; Python's client wants all nine. */
    static const struct {
        const char *key, *value;
    } fields[] = {{"version", PACKAGE_VERSION}, {"major", "1"}, {"minor", "33"},
        {"gitVersion", "v1.33.0+paddock" PACKAGE_VERSION}, {"gitCommit", ""}, {"gitTreeState", "clean"},
        {"buildDate", "1970-01-01T00:00:00Z"}, {"goVersion", ""}, {"compiler", "gcc"}, {"platform", "linux/" MACHINE}};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    json_write_object(&writer);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        json_write_key(&writer, fields[i].key);
        json_write_string(&writer, fields[i].value);
    }
    json_write_end_object(&writer);
    exchange_reply(exchange, 200, "application/json", out.data, out.length);
}
