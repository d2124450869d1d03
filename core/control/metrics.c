/* A source is one worker's series, or what is left of a service's workers that are gone (replica 0). Printing adds up
 * the sources of a service. */
#include "config.h"

#include "core/control/metrics.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/thread.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SERIES_MAX = 1000, BUCKETS_MAX = 64, NAME_BYTES_MAX = 128, LABELS_BYTES_MAX = 512 };
enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

struct series {
    char name[NAME_BYTES_MAX];
    char labels[LABELS_BYTES_MAX]; /* without braces, or "" */
    char help[256];
    enum kind kind;
    double value; /* of a histogram: the sum */
    double count;
    size_t buckets; /* bounds; one more count than bounds */
    double bounds[BUCKETS_MAX], counts[BUCKETS_MAX + 1];
};

struct source {
    struct source *next;
    uint32_t replica; /* 0: workers that are gone */
    char namespace_[254], service[64], model_name[256];
    struct series **series;
    size_t count, room;
};

struct metrics_store {
    struct mutex lock; /* guards sources */
    struct source *sources;
};

struct metrics_store *metrics_store_new(void)
{
    struct metrics_store *store = calloc(1, sizeof *store);
    if (store != NULL)
        mutex_init(&store->lock);
    return store;
}

static void clear_source(struct source *source)
{
    for (size_t i = 0; i < source->count; i++)
        free(source->series[i]);
    free(source->series);
    source->series = NULL;
    source->count = source->room = 0;
}

struct metrics_store *metrics_store_free(struct metrics_store *store)
{
    while (store != NULL && store->sources != NULL) {
        struct source *next = store->sources->next;
        clear_source(store->sources);
        free(store->sources);
        store->sources = next;
    }
    if (store != NULL)
        mutex_done(&store->lock);
    free(store);
    return NULL;
}

static struct source *find_source(struct metrics_store *store, uint32_t replica)
{
    for (struct source *source = store->sources; source != NULL; source = source->next)
        if (source->replica == replica)
            return source;
    return NULL;
}

void metrics_store_begin(
    struct metrics_store *store, uint32_t replica, const char *namespace_, const char *service, const char *model_name)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return; /* this worker's figures are missing, nothing else */
    source->replica = replica;
    snprintf(source->namespace_, sizeof source->namespace_, "%s", namespace_);
    snprintf(source->service, sizeof source->service, "%s", service);
    snprintf(source->model_name, sizeof source->model_name, "%s", model_name);
    mutex_lock(&store->lock);
    source->next = store->sources;
    store->sources = source;
    mutex_unlock(&store->lock);
}

/* ---- reading what a worker sends */

/* "NAME" or "NAME{LABELS}", since it ends up in text that others parse. */
static bool split_key(const char *key, struct series *series)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";
    size_t name = strspn(key, letters), length = strlen(key);
    if (name == 0 || name >= sizeof series->name || (key[0] >= '0' && key[0] <= '9'))
        return false;
    snprintf(series->name, sizeof series->name, "%.*s", (int)name, key);
    series->labels[0] = '\0';
    if (key[name] == '\0')
        return true;
    if (key[name] != '{' || key[length - 1] != '}' || length - name - 2 >= sizeof series->labels)
        return false;
    for (size_t i = name; i < length; i++)
        if ((unsigned char)key[i] < 0x20)
            return false;
    snprintf(series->labels, sizeof series->labels, "%.*s", (int)(length - name - 2), key + name + 1);
    return true;
}

static bool read_numbers(const struct json *list, double *to, size_t room, size_t *ret_count)
{
    size_t count = 0;
    if (list == NULL || list->type != JSON_ARRAY || list->count > room)
        return false;
    for (const struct json *at = list->child; at != NULL; at = at->next)
        if (!json_double(at, &to[count++]))
            return false;
    *ret_count = count;
    return true;
}

static bool read_series(const struct json *member, struct series *series)
{
    const char *kind, *help = "";
    if (!split_key(member->key, series) || !json_string(json_get(member, "kind"), &kind))
        return false;
    json_string(json_get(member, "help"), &help);
    snprintf(series->help, sizeof series->help, "%s", help);
    for (char *c = series->help; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == '\\')
            *c = ' ';
    if (strcmp(kind, "histogram") != 0) {
        series->kind = strcmp(kind, "counter") == 0 ? KIND_COUNTER : KIND_GAUGE;
        return json_double(json_get(member, "value"), &series->value);
    }
    size_t counts;
    series->kind = KIND_HISTOGRAM;
    return read_numbers(json_get(member, "buckets"), series->bounds, BUCKETS_MAX, &series->buckets) &&
           read_numbers(json_get(member, "counts"), series->counts, BUCKETS_MAX + 1, &counts) &&
           counts == series->buckets + 1 && json_double(json_get(member, "sum"), &series->value) &&
           json_double(json_get(member, "count"), &series->count);
}

void metrics_store_put(struct metrics_store *store, uint32_t replica, const struct json *payload)
{
    if (payload == NULL || payload->type != JSON_OBJECT)
        return;
    mutex_lock(&store->lock);
    struct source *source = find_source(store, replica);
    if (source != NULL)
        clear_source(source);
    for (const struct json *at = payload->child; source != NULL && at != NULL && source->count < SERIES_MAX;
         at = at->next) {
        struct series *series = calloc(1, sizeof *series);
        if (series == NULL || !read_series(at, series) ||
            !array_grow(&source->series, &source->room, source->count + 1)) {
            free(series); /* one that makes no sense is left out */
            continue;
        }
        source->series[source->count++] = series;
    }
    mutex_unlock(&store->lock);
}

/* ---- adding up */

static bool same_series(const struct series *a, const struct series *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->labels, b->labels) == 0 && a->kind == b->kind &&
           a->buckets == b->buckets;
}

static void add_up(struct series *to, const struct series *from)
{
    to->value += from->value;
    to->count += from->count;
    for (size_t i = 0; i < from->buckets + 1 && from->kind == KIND_HISTOGRAM; i++)
        to->counts[i] += from->counts[i];
}

static bool same_service(const struct source *a, const struct source *b)
{
    return strcmp(a->service, b->service) == 0 && strcmp(a->namespace_, b->namespace_) == 0;
}

static void keep_series(struct source *kept, struct series **series)
{
    for (size_t i = 0; i < kept->count; i++) {
        if (same_series(kept->series[i], *series)) {
            add_up(kept->series[i], *series);
            return;
        }
    }
    if (array_grow(&kept->series, &kept->room, kept->count + 1))
        kept->series[kept->count++] = PDK_STEAL(*series);
}

/* The first worker of a service that goes becomes the place where the others' counters are kept. */
void metrics_store_end(struct metrics_store *store, uint32_t replica)
{
    mutex_lock(&store->lock);
    struct source **at = &store->sources;
    while (*at != NULL && (*at)->replica != replica)
        at = &(*at)->next;
    struct source *gone = *at, *kept = store->sources;
    while (gone != NULL && kept != NULL && (kept->replica != 0 || !same_service(kept, gone)))
        kept = kept->next;
    if (gone != NULL && kept == NULL) {
        gone->replica = 0;
        size_t left = 0;
        for (size_t i = 0; i < gone->count; i++) {
            if (gone->series[i]->kind != KIND_GAUGE)
                gone->series[left++] = gone->series[i];
            else
                free(gone->series[i]);
        }
        gone->count = left;
    } else if (gone != NULL) {
        for (size_t i = 0; i < gone->count; i++)
            if (gone->series[i]->kind != KIND_GAUGE)
                keep_series(kept, &gone->series[i]);
        *at = gone->next;
        clear_source(gone);
        free(gone);
    }
    mutex_unlock(&store->lock);
}

/* `key` is NAMESPACE/NAME. */
void metrics_store_forget(struct metrics_store *store, const char *key)
{
    mutex_lock(&store->lock);
    for (struct source **at = &store->sources; *at != NULL;) {
        struct source *source = *at;
        size_t length = strlen(source->namespace_);
        if (strncmp(key, source->namespace_, length) != 0 || key[length] != '/' ||
            strcmp(key + length + 1, source->service) != 0) {
            at = &source->next;
            continue;
        }
        *at = source->next;
        clear_source(source);
        free(source);
    }
    mutex_unlock(&store->lock);
}

/* ---- printing */

struct line {
    const struct source *source;
    const struct series *series;
};

static int by_name_and_service(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->series->name, y->series->name);
    if (order == 0)
        order = strcmp(x->source->namespace_, y->source->namespace_);
    if (order == 0)
        order = strcmp(x->source->service, y->source->service);
    return order != 0 ? order : strcmp(x->series->labels, y->series->labels);
}

static void put_value(struct buffer *out, double value)
{
    if (isnan(value))
        buffer_puts(out, " NaN\n");
    else if (isinf(value))
        buffer_puts(out, value > 0 ? " +Inf\n" : " -Inf\n");
    else if (value == (double)(int64_t)value && fabs(value) < 1e15)
        buffer_printf(out, " %" PRId64 "\n", (int64_t)value);
    else
        buffer_printf(out, " %.17g\n", value);
}

static void put_label_value(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buffer_putc(out, '\\');
        buffer_putc(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_head(struct buffer *out, const struct line *line, const char *suffix, const char *bound)
{
    buffer_printf(out, "%s%s{model_name=\"", line->series->name, suffix);
    put_label_value(out, line->source->model_name);
    buffer_printf(
        out, "\",engine=\"0\",namespace=\"%s\",service=\"%s\"", line->source->namespace_, line->source->service);
    if (line->series->labels[0] != '\0')
        buffer_printf(out, ",%s", line->series->labels);
    if (bound != NULL)
        buffer_printf(out, ",le=\"%s\"", bound);
    buffer_putc(out, '}');
}

static void put_series(struct buffer *out, const struct line *line, const struct series *sum)
{
    if (sum->kind != KIND_HISTOGRAM) {
        put_head(out, line, "", NULL);
        put_value(out, sum->value);
        return;
    }
    double so_far = 0;
    for (size_t i = 0; i <= sum->buckets; i++) {
        char bound[32] = "+Inf";
        if (i < sum->buckets)
            snprintf(bound, sizeof bound, sum->bounds[i] == (double)(int64_t)sum->bounds[i] ? "%.1f" : "%.15g",
                sum->bounds[i]);
        so_far += sum->counts[i];
        put_head(out, line, "_bucket", bound);
        put_value(out, so_far);
    }
    put_head(out, line, "_sum", NULL);
    put_value(out, sum->value);
    put_head(out, line, "_count", NULL);
    put_value(out, sum->count);
}

static void print_lines(struct line *lines, size_t count, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    qsort(lines, count, sizeof *lines, by_name_and_service);
    for (size_t i = 0; i < count;) {
        if (i == 0 || strcmp(lines[i - 1].series->name, lines[i].series->name) != 0)
            buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", lines[i].series->name, lines[i].series->help,
                lines[i].series->name, kinds[lines[i].series->kind]);
        struct series sum = *lines[i].series;
        size_t next = i + 1;
        while (
            next < count && same_service(lines[i].source, lines[next].source) && same_series(&sum, lines[next].series))
            add_up(&sum, lines[next++].series);
        put_series(out, &lines[i], &sum);
        i = next;
    }
}

void metrics_store_print(struct metrics_store *store, struct buffer *out)
{
    struct line *lines = NULL;
    size_t count = 0, room = 0;
    mutex_lock(&store->lock);
    for (struct source *source = store->sources; source != NULL; source = source->next)
        for (size_t i = 0; i < source->count; i++)
            if (array_grow(&lines, &room, count + 1))
                lines[count++] = (struct line){source, source->series[i]};
    if (count != 0)
        print_lines(lines, count, out);
    mutex_unlock(&store->lock);
    free(lines);
}
