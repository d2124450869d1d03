/* A handful of updates a step, so one lock serves. */
#include "config.h"

#include "core/worker/metrics.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/thread.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 64, TEXT_MAX = 512 };

struct metric {
    char *key, *help; /* NAME or NAME{LABELS} */
    int32_t kind;
    double value; /* of a counter or gauge; the sum of a histogram */
    uint64_t count;
    size_t bucket_count;
    double *bounds;   /* [bucket_count] */
    uint64_t *counts; /* [bucket_count + 1]: of each alone; the last is for what is over all bounds */
};

struct metrics {
    struct mutex lock; /* all below */
    struct metric *items;
    size_t count, room;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics != NULL)
        mutex_init(&metrics->lock);
    return metrics;
}

static void metric_done(struct metric *metric)
{
    free(metric->key);
    free(metric->help);
    free(metric->bounds);
    free(metric->counts);
}

struct metrics *metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return NULL;
    for (size_t i = 0; i < metrics->count; i++)
        metric_done(&metrics->items[i]);
    free(metrics->items);
    mutex_done(&metrics->lock);
    free(metrics);
    return NULL;
}

static bool is_name(const char *name)
{
    size_t length = name != NULL ? strnlen(name, TEXT_MAX) : 0;
    if (length == 0 || length == TEXT_MAX || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != ':')
            return false;
    return true;
}

static pdk_status check(const pdk_metric *metric, pdk_error *err)
{
    if (!is_name(metric->name))
        return pdk_error_value(
            err, PDK_INVALID, "name", metric->name != NULL ? metric->name : "", "not a metric's name");
    if (metric->kind < PDK_METRIC_COUNTER || metric->kind > PDK_METRIC_HISTOGRAM)
        return pdk_error_set(err, PDK_INVALID, "kind", "%s: no metric is of kind %d", metric->name, (int)metric->kind);
    if (metric->kind == PDK_METRIC_HISTOGRAM && (metric->bucket_count == 0 || metric->bucket_count > BUCKETS_MAX))
        return pdk_error_set(err, PDK_INVALID, "bucket_count", "%s has %zu buckets; it may have 1 to %d", metric->name,
            metric->bucket_count, (int)BUCKETS_MAX);
    for (size_t i = 1; metric->kind == PDK_METRIC_HISTOGRAM && i < metric->bucket_count; i++)
        if (!(metric->buckets[i] > metric->buckets[i - 1]))
            return pdk_error_set(err, PDK_INVALID, "buckets", "%s: bound %zu does not ascend", metric->name, i);
    return PDK_OK;
}

static char *make_key(const pdk_metric *metric)
{
    struct buffer key = {0};
    buffer_puts(&key, metric->name);
    if (metric->labels != NULL && metric->labels[0] != '\0')
        buffer_printf(&key, "{%s}", metric->labels);
    return buffer_take(&key);
}

/* Fills `made` with copies; false: out of memory. */
static bool copy_metric(const pdk_metric *metric, struct metric *made)
{
    made->kind = metric->kind;
    made->help = strdup(metric->help != NULL ? metric->help : "");
    if (made->help == NULL || metric->kind != PDK_METRIC_HISTOGRAM)
        return made->help != NULL;
    made->bucket_count = metric->bucket_count;
    made->bounds = calloc(metric->bucket_count, sizeof *made->bounds);
    made->counts = calloc(metric->bucket_count + 1, sizeof *made->counts);
    if (made->bounds == NULL || made->counts == NULL)
        return false;
    memcpy(made->bounds, metric->buckets, metric->bucket_count * sizeof *made->bounds);
    return true;
}

static pdk_status declare(
    struct metrics *metrics, const pdk_metric *metric, struct metric *made, uint32_t *ret_id, pdk_error *err)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (strcmp(metrics->items[i].key, made->key) != 0)
            continue;
        if (metrics->items[i].kind != metric->kind)
            return pdk_error_set(err, PDK_INVALID, "kind", "%s was declared as another kind before", made->key);
        metric_done(made);
        *ret_id = (uint32_t)i;
        return PDK_OK;
    }
    if (metrics->count == METRICS_MAX)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "name", "%s: there are %d metrics already", made->key, (int)METRICS_MAX);
    if (!array_grow(&metrics->items, &metrics->room, metrics->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "name", "no memory for metric %s", made->key);
    *ret_id = (uint32_t)metrics->count;
    metrics->items[metrics->count++] = *made;
    return PDK_OK;
}

pdk_status metrics_declare(struct metrics *metrics, const pdk_metric *metric, uint32_t *ret_id, pdk_error *err)
{
    pdk_status status = check(metric, err);
    if (status != PDK_OK)
        return status;
    struct metric made = {.key = make_key(metric)};
    if (made.key == NULL || !copy_metric(metric, &made)) {
        metric_done(&made);
        return pdk_error_set(err, PDK_NO_MEMORY, "name", "no memory for metric %s", metric->name);
    }
    mutex_lock(&metrics->lock);
    status = declare(metrics, metric, &made, ret_id, err);
    mutex_unlock(&metrics->lock);
    if (status != PDK_OK)
        metric_done(&made);
    return status;
}

/* The metric, if it is of that kind; the lock is held. */
static struct metric *get(struct metrics *metrics, uint32_t id, int32_t kind)
{
    struct metric *metric = id < metrics->count ? &metrics->items[id] : NULL;
    return metric != NULL && metric->kind == kind ? metric : NULL;
}

void metrics_add(struct metrics *metrics, uint32_t id, double value)
{
    mutex_lock(&metrics->lock);
    struct metric *metric = get(metrics, id, PDK_METRIC_COUNTER);
    if (metric != NULL && value > 0) /* a counter never falls */
        metric->value += value;
    mutex_unlock(&metrics->lock);
}

void metrics_set(struct metrics *metrics, uint32_t id, double value)
{
    mutex_lock(&metrics->lock);
    struct metric *metric = get(metrics, id, PDK_METRIC_GAUGE);
    if (metric != NULL)
        metric->value = value;
    mutex_unlock(&metrics->lock);
}

void metrics_observe(struct metrics *metrics, uint32_t id, double value)
{
    mutex_lock(&metrics->lock);
    struct metric *metric = get(metrics, id, PDK_METRIC_HISTOGRAM);
    if (metric != NULL) {
        size_t i = 0;
        while (i < metric->bucket_count && value > metric->bounds[i])
            i++;
        metric->counts[i]++;
        metric->count++;
        metric->value += value;
    }
    mutex_unlock(&metrics->lock);
}

static void write_histogram(struct json_writer *writer, const struct metric *metric)
{
    json_write_key(writer, "buckets");
    json_write_array(writer);
    for (size_t i = 0; i < metric->bucket_count; i++)
        json_write_double(writer, metric->bounds[i]);
    json_write_end_array(writer);
    json_write_key(writer, "counts");
    json_write_array(writer);
    for (size_t i = 0; i <= metric->bucket_count; i++)
        json_write_uint(writer, metric->counts[i]);
    json_write_end_array(writer);
    json_write_key(writer, "sum");
    json_write_double(writer, metric->value);
    json_write_key(writer, "count");
    json_write_uint(writer, metric->count);
}

void metrics_write(struct metrics *metrics, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct json_writer writer = {.out = out};
    mutex_lock(&metrics->lock);
    json_write_object(&writer);
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        json_write_key(&writer, metric->key);
        json_write_object(&writer);
        json_write_key(&writer, "kind");
        json_write_string(&writer, kinds[metric->kind]);
        json_write_key(&writer, "help");
        json_write_text(&writer, metric->help, strlen(metric->help));
        if (metric->kind == PDK_METRIC_HISTOGRAM) {
            write_histogram(&writer, metric);
        } else {
            json_write_key(&writer, "value");
            json_write_double(&writer, metric->value);
        }
        json_write_end_object(&writer);
    }
    json_write_end_object(&writer);
    mutex_unlock(&metrics->lock);
}
