/* paddock-worker: one replica of one model. Started by paddockd; --describe is for people and for paddockd --check.
 *
 * The order here is the sandbox's: plugins are opened first, since that needs the right to map code; then all rights
 * go; only then does a plugin's own code run on a model's bytes. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/worker/describe.h"
#include "core/worker/metrics.h"
#include "core/worker/plugin.h"
#include "core/worker/responses.h"
#include "core/worker/sandbox.h"
#include "core/worker/worker.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static const char usage[] =
    "usage: paddock-worker --describe FILE.so\n"
    "       paddock-worker --fd N --plugin FILE.so --runtimes-dir DIR --compute-dir DIR --model PATH\n"
    "                      [--read PATH]... [--sandbox on|strict|off] [--memory BYTES] [--threads N]\n"
    "\n"
    "Serves one model for paddockd, which starts it. --describe prints what a runtime is and takes, as JSON.\n";

enum {
    OPTION_DESCRIBE = 256,
    OPTION_FD,
    OPTION_PLUGIN,
    OPTION_RUNTIMES,
    OPTION_COMPUTE,
    OPTION_MODEL,
    OPTION_READ,
    OPTION_SANDBOX,
    OPTION_MEMORY,
    OPTION_THREADS
};

static const struct option options[] = {
    {"describe", required_argument, NULL, OPTION_DESCRIBE},
    {"fd", required_argument, NULL, OPTION_FD},
    {"plugin", required_argument, NULL, OPTION_PLUGIN},
    {"runtimes-dir", required_argument, NULL, OPTION_RUNTIMES},
    {"compute-dir", required_argument, NULL, OPTION_COMPUTE},
    {"model", required_argument, NULL, OPTION_MODEL},
    {"read", required_argument, NULL, OPTION_READ},
    {"sandbox", required_argument, NULL, OPTION_SANDBOX},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < minimum || value > maximum)
        return false;
    *ret_value = value;
    return true;
}

static bool sandbox_word(const char *text, enum sandbox_mode *ret_mode)
{
    static const char *const words[] = {[SANDBOX_ON] = "on", [SANDBOX_STRICT] = "strict", [SANDBOX_OFF] = "off"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *ret_mode = (enum sandbox_mode)i;
        return true;
    }
    return false;
}

static bool take_option(struct worker_arguments *arguments, int option, const char *value)
{
    uint64_t parsed;
    switch (option) {
    case OPTION_FD:
        if (!number(value, 3, INT_MAX, &parsed))
            return false;
        arguments->fd = (int)parsed;
        return true;
    case OPTION_THREADS:
        if (!number(value, 1, 4096, &parsed))
            return false;
        arguments->threads = (uint32_t)parsed;
        return true;
    case OPTION_MEMORY: return number(value, 0, UINT64_MAX, &arguments->memory_bytes);
    case OPTION_SANDBOX: return sandbox_word(value, &arguments->sandbox);
    case OPTION_PLUGIN: arguments->plugin = value; return true;
    case OPTION_RUNTIMES: arguments->runtimes = value; return true;
    case OPTION_COMPUTE: arguments->compute = value; return true;
    case OPTION_MODEL: arguments->model = value; return value[0] == '/';
    case OPTION_READ:
        if (arguments->readable_count == WORKER_READABLE_MAX - 1 || value[0] != '/')
            return false;
        arguments->readable[arguments->readable_count++] = value;
        return true;
    default: return false;
    }
}

/* 0: go on; else the exit status plus 1. */
static int read_arguments(int argc, char **argv, struct worker_arguments *arguments)
{
    for (int option; (option = getopt_long(argc, argv, "Vh", options, NULL)) != -1;) {
        if (option == OPTION_DESCRIBE)
            return describe(optarg) + 1;
        if (option == 'V' || option == 'h')
            return fputs(option == 'h' ? usage : "paddock-worker " PACKAGE_VERSION "\n", stdout) == EOF ? 2 : 1;
        if (option == '?' || !take_option(arguments, option, optarg)) {
            if (option != '?')
                fprintf(
                    stderr, "paddock-worker: --%s: cannot use '%s'\n", options[option - OPTION_DESCRIBE].name, optarg);
            return WORKER_EXIT_USAGE + 1;
        }
    }
    if (optind == argc && arguments->fd >= 3 && arguments->plugin != NULL && arguments->runtimes != NULL &&
        arguments->compute != NULL && arguments->model != NULL) {
        arguments->readable[arguments->readable_count++] = arguments->model;
        return 0;
    }
    fputs(usage, stderr);
    return WORKER_EXIT_USAGE + 1;
}

static void tell_refused(const pdk_error *err)
{
    worker_log(PDK_LOG_WARNING, "compute plugin passed over: %s", err->message);
}

static pdk_status open_plugins(struct worker *worker, pdk_error *err)
{
    const struct worker_arguments *arguments = worker->arguments;
    /* OpenBLAS starts its threads when it is loaded, and threads must not be there before the sandbox. */
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    pdk_status status = plugin_open_runtime(arguments->plugin, arguments->runtimes, &worker->runtime, err);
    if (status != PDK_OK || (worker->runtime->flags & PDK_RUNTIME_NEEDS_COMPUTE) == 0)
        return status;
    worker->compute.size = sizeof worker->compute;
    return plugin_open_compute(
        arguments->compute, getenv("PADDOCK_COMPUTE"), tell_refused, &worker->compute.compute, err);
}

static pdk_status prepare(struct worker *worker, pdk_error *err)
{
    worker->metrics = metrics_new();
    worker->responses = responses_new(&worker->link);
    if (worker->metrics == NULL || worker->responses == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory to start");
    pdk_status status = sandbox_limit_resources(err);
    if (status == PDK_OK)
        status = open_plugins(worker, err);
    if (status == PDK_OK)
        status = sandbox_confine(worker, err);
    if (status == PDK_OK)
        worker_host_init(worker);
    return status;
}

int main(int argc, char **argv)
{
    static struct worker worker; /* handles of it are everywhere until the end */
    struct worker_arguments arguments = {.fd = -1, .threads = 1};
    int result = read_arguments(argc, argv, &arguments);
    if (result != 0)
        return result - 1;
    worker.arguments = &arguments;
    pdk_error err = {0};
    sandbox_close_descriptors(arguments.fd);
    if (sandbox_follow_parent(arguments.fd, &err) != PDK_OK || link_open(&worker.link, arguments.fd, &err) != PDK_OK) {
        worker_log(PDK_LOG_ERROR, "%s", err.message);
        return WORKER_EXIT_USAGE;
    }
    prctl(PR_SET_NAME, "paddock-worker", 0, 0, 0);
    result = prepare(&worker, &err) == PDK_OK ? replica_run(&worker) : replica_refuse(&worker, &err);
    worker.responses = responses_free(worker.responses);
    worker.metrics = metrics_free(worker.metrics);
    link_close(&worker.link);
    return result;
}
