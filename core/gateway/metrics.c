/* Counters are plain atomics, each on its own; a scrape may see a request in one and not yet in another. */
#include "config.h"

#include "core/gateway/metrics.h"

#include "core/base/cleanup.h"
#include "core/gateway/endpoints.h"
#include "core/gateway/request.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum { CLASSES = 6, COARSE = 3, FINE = 21 };

static const double coarse_bounds[COARSE] = {0.1, 0.5, 1};
static const double fine_bounds[FINE] = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60};

struct row_counts {
    atomic_uint_least64_t by_class[CLASSES]; /* [2]: 2xx */
    atomic_uint_least64_t count, took_us, request_bytes, response_bytes;
    atomic_uint_least64_t buckets[COARSE]; /* each by itself */
};

struct metrics {
    size_t row_count;
    atomic_uint_least64_t fine[FINE], fine_count, fine_us;
    struct row_counts rows[]; /* of the table, and one for what is not in it */
};

static void add(atomic_uint_least64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct metrics *metrics_new(void)
{
    size_t count = endpoints_count() + 1;
    struct metrics *metrics = calloc(1, sizeof *metrics + count * sizeof metrics->rows[0]);
    if (metrics != NULL)
        metrics->row_count = count;
    return metrics;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    free(metrics);
    return NULL;
}

void metrics_count(
    struct metrics *metrics, size_t row, int status, int64_t took_us, uint64_t request_bytes, uint64_t response_bytes)
{
    struct row_counts *counts = &metrics->rows[row < metrics->row_count ? row : metrics->row_count - 1];
    int class = status / 100;
    add(&counts->by_class[class > 0 && class < CLASSES ? class : 5], 1);
    add(&counts->count, 1);
    add(&counts->took_us, (uint64_t)took_us);
    add(&counts->request_bytes, request_bytes);
    add(&counts->response_bytes, response_bytes);
    double seconds = (double)took_us / 1e6;
    for (size_t i = 0; i < COARSE; i++)
        if (seconds <= coarse_bounds[i]) {
            add(&counts->buckets[i], 1);
            break;
        }
    for (size_t i = 0; i < FINE; i++)
        if (seconds <= fine_bounds[i]) {
            add(&metrics->fine[i], 1);
            break;
        }
    add(&metrics->fine_count, 1);
    add(&metrics->fine_us, (uint64_t)took_us);
}

static const char *row_method(const struct metrics *metrics, size_t i)
{
    return i + 1 == metrics->row_count || endpoint_row(i)->method[0] == '*' ? "other" : endpoint_row(i)->method;
}

static const char *row_name(const struct metrics *metrics, size_t i)
{
    return i + 1 == metrics->row_count ? "none" : endpoint_row(i)->name;
}

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_totals(const struct metrics *metrics, struct buffer *out)
{
    head(out, "http_requests_total", "counter", "Total number of requests by method, status and handler.");
    for (size_t i = 0; i < metrics->row_count; i++)
        for (int class = 1; class < CLASSES; class ++)
            if (get(&metrics->rows[i].by_class[class]) != 0)
                buffer_printf(out, "http_requests_total{handler=\"%s\",method=\"%s\",status=\"%dxx\"} %" PRIu64 "\n",
                    row_name(metrics, i), row_method(metrics, i), class, get(&metrics->rows[i].by_class[class]));
}

/* A summary without quantiles has one series a handler: rows that differ in method alone are added up. */
static void write_sizes(
    const struct metrics *metrics, struct buffer *out, const char *name, const char *help, bool request)
{
    head(out, name, "summary", help);
    for (size_t i = 0; i < metrics->row_count; i++) {
        uint64_t count = 0, bytes = 0;
        bool seen = false;
        for (size_t j = 0; j < metrics->row_count; j++) {
            if (strcmp(row_name(metrics, i), row_name(metrics, j)) != 0)
                continue;
            seen = seen || j < i;
            count += get(&metrics->rows[j].count);
            bytes += get(request ? &metrics->rows[j].request_bytes : &metrics->rows[j].response_bytes);
        }
        if (!seen && count != 0)
            buffer_printf(out, "%s_count{handler=\"%s\"} %" PRIu64 "\n%s_sum{handler=\"%s\"} %" PRIu64 "\n", name,
                row_name(metrics, i), count, name, row_name(metrics, i), bytes);
    }
}

static void write_durations(const struct metrics *metrics, struct buffer *out)
{
    static const char name[] = "http_request_duration_seconds";
    head(out, name, "histogram", "Latency by handler and method.");
    for (size_t i = 0; i < metrics->row_count; i++) {
        const struct row_counts *counts = &metrics->rows[i];
        if (get(&counts->count) == 0)
            continue;
        const char *handler = row_name(metrics, i), *method = row_method(metrics, i);
        uint64_t sum = 0, count = get(&counts->count);
        for (size_t b = 0; b < COARSE; b++) {
            sum += get(&counts->buckets[b]);
            buffer_printf(out, "%s_bucket{handler=\"%s\",le=\"%g\",method=\"%s\"} %" PRIu64 "\n", name, handler,
                coarse_bounds[b], method, sum);
        }
        buffer_printf(
            out, "%s_bucket{handler=\"%s\",le=\"+Inf\",method=\"%s\"} %" PRIu64 "\n", name, handler, method, count);
        buffer_printf(out, "%s_count{handler=\"%s\",method=\"%s\"} %" PRIu64 "\n", name, handler, method, count);
        buffer_printf(out, "%s_sum{handler=\"%s\",method=\"%s\"} %.6f\n", name, handler, method,
            (double)get(&counts->took_us) / 1e6);
    }
    static const char fine_name[] = "http_request_duration_highr_seconds";
    head(out, fine_name, "histogram", "Latency with many buckets but no labels.");
    uint64_t sum = 0;
    for (size_t b = 0; b < FINE; b++) {
        sum += get(&metrics->fine[b]);
        buffer_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", fine_name, fine_bounds[b], sum);
    }
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_count %" PRIu64 "\n%s_sum %.6f\n", fine_name,
        get(&metrics->fine_count), fine_name, get(&metrics->fine_count), fine_name,
        (double)get(&metrics->fine_us) / 1e6);
}

void metrics_write(const struct metrics *metrics, struct buffer *out)
{
    write_totals(metrics, out);
    write_sizes(metrics, out, "http_request_size_bytes", "Content length of requests by handler.", true);
    write_sizes(metrics, out, "http_response_size_bytes", "Content length of answers by handler.", false);
    write_durations(metrics, out);
}

/* Names and namespaces come from documents that were checked ([a-z0-9.-]), so that no label needs escaping. */
static void write_services(struct control *control, struct buffer *out)
{
    const struct routes *routes = control_routes(control);
    head(out, "paddock_service_ready", "gauge", "1 while the service takes requests.");
    for (size_t i = 0; i < routes->count; i++)
        buffer_printf(out, "paddock_service_ready{namespace=\"%s\",service=\"%s\"} %d\n",
            routes->services[i].namespace_, routes->services[i].name, routes->services[i].phase == SERVICE_READY);
    routes_unref(routes);
}

static void write_gateway(struct gateway *gateway, struct buffer *out)
{
    head(out, "paddock_info", "gauge", "The version that runs.");
    buffer_puts(out, "paddock_info{version=\"" PACKAGE_VERSION "\"} 1\n");
    head(out, "paddock_http_requests_in_flight", "gauge", "Requests being answered.");
    buffer_printf(
        out, "paddock_http_requests_in_flight %u\n", atomic_load_explicit(&gateway->in_flight, memory_order_relaxed));
    head(out, "paddock_http_connections", "gauge", "Open connections of the direct listeners.");
    unsigned connections = 0;
    for (size_t i = 0; i < gateway->server_count; i++)
        connections += gateway->servers[i].inner ? 0 : server_connections(&gateway->servers[i]);
    buffer_printf(out, "paddock_http_connections %u\n", connections);
    write_services(gateway->control, out);
}

void metrics_handle(struct exchange *exchange)
{
    enum { WAIT_MS = 1000 };
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    metrics_write(exchange->gateway->metrics, &out);
    write_gateway(exchange->gateway, &out);
    control_metrics(exchange->gateway->control, WAIT_MS, &out);
    exchange_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.length);
}
