/* Method, path, status, bytes, time, id: never a query, a body or a key. */
#include "config.h"

#include "core/base/log.h"
#include "core/gateway/request.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINES_A_SECOND = 100 };

void access_log(const struct exchange *exchange, int64_t took_us)
{
    static struct log_limit limit;
    if (!exchange->gateway->config->access_log || !log_wants(LOG_LEVEL_INFO))
        return;
    uint32_t dropped;
    if (!log_limit_pass(&limit, LINES_A_SECOND, &dropped))
        return;
    if (dropped != 0)
        log_event(LOG_LEVEL_INFO, NULL, "%" PRIu32 " requests were not logged", dropped);
    char path[128];
    snprintf(path, sizeof path, "%s", exchange->path != NULL ? exchange->path : "-");
    for (char *c = path; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7F)
            *c = '?';
    log_event(LOG_LEVEL_INFO, &(struct log_fields){.request = exchange->request_id},
        "%.16s %s %d, %" PRIu64 " bytes in %" PRId64 ".%03" PRId64 " ms",
        exchange->head.method != NULL ? exchange->head.method : "-", path, exchange->status, exchange->sent,
        took_us / 1000, took_us % 1000);
}
