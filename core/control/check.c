/* paddockd --check: the catalog as at start, and each service's arguments against what its plugin says it takes. The
 * plugin is opened by `paddock-worker --describe`, a process of its own, never by the daemon. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/control/catalog.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIBE_BYTES_MAX = 4 << 20, DESCRIBE_MS = 10000 };

/* ---- what a plugin says */

/* Until its end, the limit, or the deadline. */
static bool read_output(int fd, struct buffer *out)
{
    int64_t deadline = monotonic_ms() + DESCRIBE_MS;
    for (;;) {
        int64_t left = deadline - monotonic_ms();
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        if (left <= 0 || out->length > DESCRIBE_BYTES_MAX || poll(&polled, 1, (int)left) == 0)
            return false;
        char *to = buffer_reserve(out, 4096);
        ssize_t got = to != NULL ? read(fd, to, 4096) : -1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        out->length += (size_t)got;
        out->data[out->length] = '\0';
        if (got == 0)
            return true;
    }
}

/* Runs `paddock-worker --describe FILE.so`; its standard error goes into `complaint`. */
static pdk_status run_describe(const struct control_config *config, const char *plugin, struct buffer *out,
    struct buffer *complaint, pdk_error *err)
{
    int out_pipe[2], complaint_pipe[2];
    if (pipe2(out_pipe, O_CLOEXEC) != 0)
        return pdk_error_errno(err, errno, "plugin", "cannot make a pipe");
    PDK_AUTO_CLOSE int out_read = out_pipe[0];
    PDK_AUTO_CLOSE int out_write = out_pipe[1];
    if (pipe2(complaint_pipe, O_CLOEXEC) != 0)
        return pdk_error_errno(err, errno, "plugin", "cannot make a pipe");
    PDK_AUTO_CLOSE int complaint_read = complaint_pipe[0];
    PDK_AUTO_CLOSE int complaint_write = complaint_pipe[1];
    char *arguments[] = {
        (char *)config->worker, (char *)"--describe", (char *)plugin, NULL}; /* posix_spawn changes none */
    char *environment[] = {(char *)"LC_ALL=C.UTF-8", (char *)"OPENBLAS_NUM_THREADS=1", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out_write, 1);
    posix_spawn_file_actions_adddup2(&actions, complaint_write, 2);
    pid_t child;
    int number = posix_spawn(&child, config->worker, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (number != 0)
        return pdk_error_errno(err, number, "worker", "cannot run %s", config->worker);
    close(PDK_STEAL_FD(out_write));
    close(PDK_STEAL_FD(complaint_write));
    bool whole = read_output(out_read, out) && read_output(complaint_read, complaint);
    if (!whole)
        kill(child, SIGKILL);
    int end = 0;
    while (waitpid(child, &end, 0) < 0 && errno == EINTR)
        continue;
    if (!whole)
        return pdk_error_set(err, PDK_TIMEOUT, "plugin", "%s: no description within %d s", plugin, DESCRIBE_MS / 1000);
    if (WIFEXITED(end) && WEXITSTATUS(end) == 0)
        return PDK_OK;
    char *text = complaint->data != NULL ? complaint->data : (char *)"";
    text[strcspn(text, "\n")] = '\0';
    return pdk_error_set(err, PDK_INVALID, "plugin", "%s", text[0] != '\0' ? text : "the plugin cannot be described");
}

static pdk_status describe(
    const struct control_config *config, const char *plugin, struct json_document **ret_description, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    PDK_CLEANUP(buffer_done) struct buffer complaint = {0};
    pdk_status status = run_describe(config, plugin, &out, &complaint, err);
    if (status != PDK_OK)
        return status;
    status = json_read(out.data != NULL ? out.data : "", out.length, &json_limits_default, ret_description, err);
    return status != PDK_OK ? pdk_error_wrap(err, "%s: its description", plugin) : PDK_OK;
}

/* ---- arguments against options */

struct argument_check {
    const struct catalog_service *service;
    const struct json *options;
    struct buffer *report;
    bool failed;
};

static void complain(struct argument_check *c, bool fatal, const char *format, ...) PDK_PRINTF(3, 4);
static void complain(struct argument_check *c, bool fatal, const char *format, ...)
{
    buffer_printf(c->report, "%s:%u: InferenceService %s: spec.predictor.model.args: ", c->service->resource->file,
        c->service->resource->line, c->service->resource->name);
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(c->report, format, arguments);
    va_end(arguments);
    buffer_putc(c->report, '\n');
    c->failed |= fatal;
}

static const char *text_of(const struct json *object, const char *key)
{
    const char *text;
    return json_string(json_get(object, key), &text) ? text : NULL;
}

static bool same_name(const char *option, const char *name, size_t length)
{
    if (strlen(option) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (option[i] != name[i] && !((option[i] == '-' || option[i] == '_') && (name[i] == '-' || name[i] == '_')))
            return false;
    return true;
}

static const struct json *find_option(const struct argument_check *c, const char *name, size_t length)
{
    for (const struct json *at = c->options->child; at != NULL; at = at->next) {
        const char *option = text_of(at, "name");
        if (option != NULL && same_name(option, name, length))
            return at;
    }
    return NULL;
}

/* A number with an optional suffix: k m g of thousands, K M G of 1024. */
static bool read_number(const char *text, bool whole, double *ret_value)
{
    static const char letters[] = "kmgKMG";
    static const double factors[] = {1e3, 1e6, 1e9, 1024, 1048576, 1073741824};
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || errno != 0 || isspace((unsigned char)text[0]))
        return false;
    const char *found = *end != '\0' ? strchr(letters, *end) : NULL;
    if (found != NULL && end[1] == '\0')
        value *= factors[found - letters];
    else if (*end != '\0')
        return false;
    if (whole && value != (double)(int64_t)value)
        return false;
    *ret_value = value;
    return true;
}

static bool is_choice_of(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; *at != '\0'; at += strspn(at, "|")) {
        size_t one = strcspn(at, "|");
        if (one == length && strncmp(at, text, one) == 0)
            return true;
        at += one;
    }
    return false;
}

static void check_value(struct argument_check *c, const struct json *option, const char *value)
{
    const char *name = text_of(option, "name"), *type = text_of(option, "type"), *action = text_of(option, "action");
    const char *note = text_of(option, "note"), *standard = text_of(option, "default"),
               *choices = text_of(option, "choices");
    if (action != NULL && strcmp(action, "refused") == 0 &&
        (standard == NULL || value == NULL || strcmp(standard, value) != 0)) {
        complain(c, true, "--%s is not supported%s%s", name, note != NULL ? ": " : "", note != NULL ? note : "");
        return;
    }
    if (action != NULL && strcmp(action, "noted") == 0)
        complain(c, false, "--%s has no effect%s%s", name, note != NULL ? ": " : "", note != NULL ? note : "");
    bool whole = strcmp(type, "integer") == 0;
    double number, least = 0, most = 0;
    if (value == NULL && strcmp(type, "flag") != 0) {
        complain(c, true, "--%s wants a value", name);
    } else if (whole || strcmp(type, "number") == 0) {
        json_double(json_get(option, "minimum"), &least);
        json_double(json_get(option, "maximum"), &most);
        bool automatic = standard != NULL && strcmp(standard, value) == 0; /* "auto" and the like */
        if (!automatic && !read_number(value, whole, &number))
            complain(c, true, "--%s is '%.64s'; it wants %s", name, value, whole ? "an integer" : "a number");
        else if (!automatic && (number < least || number > most))
            complain(c, true, "--%s is %.64s; it may be %.15g to %.15g", name, value, least, most);
    } else if (strcmp(type, "choice") == 0 && choices != NULL && !is_choice_of(choices, value)) {
        complain(c, true, "--%s is '%.64s'; it may be %s", name, value, choices);
    } else if (strcmp(type, "flag") == 0 && value != NULL && strcasecmp(value, "true") != 0 &&
               strcasecmp(value, "false") != 0) {
        complain(c, true, "--%s is '%.64s'; it is a flag", name, value);
    }
}

static void unknown_argument(struct argument_check *c, const char *name, size_t length)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "%.*s", length < sizeof wanted ? (int)length : (int)sizeof wanted - 1, name);
    struct nearest nearest = nearest_to(wanted);
    for (const struct json *at = c->options->child; at != NULL; at = at->next)
        if (text_of(at, "name") != NULL)
            nearest_offer(&nearest, text_of(at, "name"));
    complain(c, true, "--%s is no argument of runtime %s%s", wanted, c->service->plan->plugin, nearest_hint(&nearest));
}

/* A value may stand behind '=' or be the next words; a list takes all of them. */
static void check_arguments(struct argument_check *c)
{
    const struct text_list *list = &c->service->plan->arguments;
    for (size_t i = 0; i < list->count; i++) {
        const char *argument = list->items[i];
        if (strncmp(argument, "--", 2) != 0) {
            complain(c, true, "'%.64s' is no argument; they begin with --", argument);
            continue;
        }
        const char *name = argument + 2, *equals = strchr(name, '=');
        size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
        const struct json *option = find_option(c, name, length);
        bool negated = option == NULL && length > 3 && (strncmp(name, "no-", 3) == 0 || strncmp(name, "no_", 3) == 0);
        if (negated)
            option = find_option(c, name + 3, length - 3);
        const char *type = option != NULL ? text_of(option, "type") : NULL;
        if (type == NULL || (negated && strcmp(type, "flag") != 0)) {
            unknown_argument(c, name, length);
            while (equals == NULL && i + 1 < list->count && strncmp(list->items[i + 1], "--", 2) != 0)
                i++;
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        bool takes_next = value == NULL && strcmp(type, "flag") != 0 && i + 1 < list->count &&
                          strncmp(list->items[i + 1], "--", 2) != 0;
        if (takes_next)
            value = list->items[++i];
        check_value(c, option, negated ? "false" : value);
        while (strcmp(type, "list") == 0 && i + 1 < list->count && strncmp(list->items[i + 1], "--", 2) != 0)
            i++;
    }
}

static bool check_service(
    const struct control_config *config, const struct catalog_service *service, struct buffer *report)
{
    if (service->plan == NULL || service->plugin.length == 0 || access(service->plugin.data, R_OK) != 0)
        return true; /* told already */
    pdk_error err = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *description = NULL;
    if (describe(config, service->plugin.data, &description, &err) != PDK_OK) {
        buffer_printf(report, "%s:%u: InferenceService %s: %s\n", service->resource->file, service->resource->line,
            service->resource->name, err.message);
        return false;
    }
    struct argument_check c = {
        .service = service, .report = report, .options = json_get(json_root(description), "options")};
    if (c.options != NULL && c.options->count > 0) /* a runtime without a table takes what it likes */
        check_arguments(&c);
    return !c.failed;
}

pdk_status control_check(const struct control_config *config, struct buffer *report, pdk_error *err)
{
    PDK_CLEANUP(revisions_done) struct revisions revisions = {0};
    PDK_CLEANUP(catalog_freep) struct catalog *catalog = NULL;
    pdk_status status = catalog_read(config, &revisions, &catalog, err);
    if (status != PDK_OK)
        return status;
    if (catalog->warnings.length != 0)
        buffer_put(report, catalog->warnings.data, catalog->warnings.length);
    size_t bad = 0, refused = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_service *service = &catalog->services[i];
        if (service->refused.status != PDK_OK) {
            buffer_printf(report, "%s:%u: InferenceService %s cannot run: %s\n", service->resource->file,
                service->resource->line, service->resource->name, service->refused.message);
            refused++;
        }
        bad += !check_service(config, service, report);
    }
    buffer_printf(report, "%zu service%s", catalog->count, catalog->count == 1 ? "" : "s");
    if (refused == 0)
        buffer_puts(report, catalog->count != 0 ? "; nothing is missing\n" : "\n");
    else
        buffer_printf(report, "; %zu cannot run as things are\n", refused);
    if (report->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "check", "no memory for the report");
    if (bad > 0)
        return pdk_error_set(err, PDK_INVALID, "args", "%zu service%s would not load", bad, bad == 1 ? "" : "s");
    return PDK_OK;
}
