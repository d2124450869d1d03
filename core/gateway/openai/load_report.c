/* See load_report.h. The figures are those of /metrics, read from its text: they are counted by the runtime, whose
 * names the core does not know otherwise. */
#include "config.h"

#include "core/gateway/openai/load_report.h"

#include "core/base/cleanup.h"
#include "core/gateway/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WAIT_MS = 200 };

static const char *const figures[] = {"kv_cache_usage_perc", "num_requests_waiting"};

/* The value of the service's `figure` in the text of /metrics; false: it has none yet. */
static bool find_figure(const char *metrics, const char *figure, const struct service_view *service, double *ret_value)
{
    char name[64], labels[512];
    snprintf(name, sizeof name, "vllm:%s{", figure);
    int length = snprintf(labels, sizeof labels, "namespace=\"%s\",service=\"%s\"", service->namespace_, service->name);
    if (length < 0 || (size_t)length >= sizeof labels)
        return false;
    for (const char *line = metrics; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        const char *end = line + strcspn(line, "\n"), *ours = strstr(line, labels);
        const char *close = ours == NULL || ours > end ? NULL : strchr(ours, '}');
        if (close == NULL || close > end)
            continue;
        *ret_value = strtod(close + 1, NULL);
        return true;
    }
    return false;
}

void load_report_add(struct exchange *exchange, const struct service_view *service)
{
    const char *format = exchange_header(exchange, "endpoint-load-metrics-format");
    if (format == NULL)
        return;
    bool json = strcasecmp(format, "JSON") == 0;
    if (!json && strcasecmp(format, "TEXT") != 0) {
        exchange_warn(exchange, "endpoint-load-metrics-format may be TEXT or JSON");
        return;
    }
    PDK_CLEANUP(buffer_done) struct buffer metrics = {0}, out = {0};
    control_metrics(exchange_control(exchange), WAIT_MS, &metrics);
    buffer_puts(&out, json ? "JSON {\"named_metrics\": {" : "TEXT ");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        double value = 0;
        if (!metrics.failed && metrics.length != 0)
            find_figure(metrics.data, figures[i], service, &value);
        buffer_puts(&out, i == 0 ? "" : ", ");
        buffer_printf(&out, json ? "\"%s\": %.9g" : "named_metrics.%s=%.9g", figures[i], value);
    }
    buffer_puts(&out, json ? "}}" : "");
    if (!out.failed)
        exchange_add_header(exchange, "endpoint-load-metrics", out.data);
}
