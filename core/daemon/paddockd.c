/* paddockd: puts the parts together and waits for signals. TERM and INT drain and stop, HUP reads the configuration
 * again. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/paths.h"
#include "core/base/thread.h"
#include "core/control/control.h"
#include "core/control/messages.h"
#include "core/gateway/gateway.h"
#include "core/gateway/keys.h"
#include "core/ipc/channel.h"
#include "core/spec/daemon_config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct daemon {
    struct paths paths;
    struct daemon_config config;
    struct control_config control_config;
    struct gateway_config gateway_config;
    char keys[PATH_ROOM + 8], config_file[PATH_ROOM + 16], port_file[PATH_ROOM + 8];
    const char *listen;  /* from the command line, over paddock.conf's */
    const char *plugins; /* a folder with runtimes/ and compute/ */
    char plugin_folders[2][PATH_ROOM + 16];
    bool check, sandbox_off;
    struct channel_loop *loop;
    struct control *control;
    struct gateway *gateway;
    struct mutex reloading; /* one at a time, by signal or by request */
};

static const char usage[] =
    "usage: paddockd [--etc DIR] [--state DIR] [--run DIR] [--listen HOST:PORT] [--plugins DIR] [--check] [--version]\n"
    "  --check  reads all of the configuration, says what is wrong with it, and exits\n";

static bool read_arguments(struct daemon *daemon, int argc, char **argv)
{
    static const struct option options[] = {
        {"etc", required_argument, NULL, 'e'},
        {"state", required_argument, NULL, 's'},
        {"run", required_argument, NULL, 'r'},
        {"listen", required_argument, NULL, 'l'},
        {"plugins", required_argument, NULL, 'p'},
        {"check", no_argument, NULL, 'c'},
        {"no-sandbox", no_argument, NULL, 'n'}, /* for tests that trace a worker */
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *folder = letter == 'e'   ? daemon->paths.etc
                       : letter == 's' ? daemon->paths.state
                       : letter == 'r' ? daemon->paths.run
                                       : NULL;
        if (folder != NULL && (optarg[0] != '/' || strlen(optarg) >= PATH_ROOM)) {
            fprintf(stderr, "paddockd: '%.64s' is not an absolute path\n", optarg);
            return false;
        }
        switch (letter) {
        case 'e':
        case 's':
        case 'r': memcpy(folder, optarg, strlen(optarg) + 1); break;
        case 'l': daemon->listen = optarg; break;
        case 'p': daemon->plugins = optarg; break;
        case 'c': daemon->check = true; break;
        case 'n': daemon->sandbox_off = true; break;
        case 'v': puts("paddockd " PACKAGE_VERSION); exit(EXIT_SUCCESS);
        case 'h': fputs(usage, stdout); exit(EXIT_SUCCESS);
        default: fputs(usage, stderr); return false;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return false;
    }
    return true;
}

static pdk_status read_config(struct daemon *daemon, struct daemon_config *ret_config, pdk_error *err)
{
    struct daemon_config config;
    daemon_config_default(&config);
    pdk_status status = daemon_config_read(daemon->config_file, &config, err);
    if (status == PDK_OK)
        *ret_config = config;
    return status;
}

/* All of it, or nothing of it: keys are looked at before the services change, and limits are put back when those are
 * refused. Listeners and folders are settled at start. [main-thread], [gateway-thread] */
static pdk_status read_everything(struct daemon *daemon, struct daemon_config *config, pdk_error *err)
{
    struct limits_saved limits;
    struct keys *keys = NULL;
    limits_save(&limits);
    pdk_status status = read_config(daemon, config, err);
    if (status == PDK_OK)
        status = keys_load(daemon->keys, &keys, err);
    keys_unref(keys);
    if (status == PDK_OK)
        status = control_reload(daemon->control, err);
    if (status == PDK_OK)
        status = gateway_reload(daemon->gateway, err);
    if (status != PDK_OK)
        limits_restore(&limits);
    return status;
}

static pdk_status reload(void *context, pdk_error *err)
{
    struct daemon *daemon = context;
    struct daemon_config config;
    pdk_error own = {0};
    mutex_lock(&daemon->reloading);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)monotonic_us());
    pdk_status status = read_everything(daemon, &config, &own);
    if (status == PDK_OK) {
        log_set_level((enum log_level)config.log_level);
        log_event(LOG_LEVEL_NOTICE, &(struct log_fields){.message_id = MESSAGE_RELOADED}, "configuration read again");
    } else {
        log_event(LOG_LEVEL_ERROR, &(struct log_fields){.message_id = MESSAGE_RELOAD_REFUSED},
            "configuration left as it was: %s", own.message);
        *err = own;
    }
    sd_notify(0, "READY=1");
    mutex_unlock(&daemon->reloading);
    return status;
}

/* Fills what control and gateway are told from the command line and paddock.conf. */
static pdk_status prepare(struct daemon *daemon, pdk_error *err)
{
    struct paths *paths = &daemon->paths;
    snprintf(daemon->config_file, sizeof daemon->config_file, "%s/paddock.conf", paths->etc);
    snprintf(daemon->keys, sizeof daemon->keys, "%s/keys", paths->etc);
    snprintf(daemon->port_file, sizeof daemon->port_file, "%s/port", paths->run);
    pdk_status status = read_config(daemon, &daemon->config, err);
    if (status != PDK_OK)
        return status;
    log_set_level((enum log_level)daemon->config.log_level);
    if (daemon->plugins != NULL) {
        snprintf(daemon->plugin_folders[0], sizeof daemon->plugin_folders[0], "%.1024s/runtimes", daemon->plugins);
        snprintf(daemon->plugin_folders[1], sizeof daemon->plugin_folders[1], "%.1024s/compute", daemon->plugins);
    }
    const struct daemon_config *c = &daemon->config;
    daemon->control_config = (struct control_config){
        .etc = paths->etc,
        .state = paths->state,
        .run = paths->run,
        .shipped = paths->shipped,
        .worker = paths->worker,
        .runtimes = daemon->plugins != NULL ? daemon->plugin_folders[0] : paths->runtimes,
        .compute = daemon->plugins != NULL ? daemon->plugin_folders[1] : paths->compute,
        .domain = c->domain,
        .load_deadline_ms = (int64_t)c->load_deadline_s * 1000,
        .ping_deadline_ms = (int64_t)c->ping_deadline_s * 1000,
        .step_deadline_ms = (int64_t)c->step_deadline_s * 1000,
        .drain_ms = (int64_t)c->drain_s * 1000,
        .sandbox_strict = strcmp(c->sandbox, "strict") == 0,
        .sandbox_off = daemon->sandbox_off || strcmp(c->sandbox, "off") == 0,
    };
    struct gateway_config *g = &daemon->gateway_config;
    g->connections = c->connections;
    g->keys = daemon->keys;
    g->access_log = c->access_log;
    g->reload = reload;
    g->reload_context = daemon;
    if (daemon->listen != NULL) {
        if (strlen(daemon->listen) >= sizeof g->listeners[0].address)
            return pdk_error_set(
                err, PDK_INVALID, "listen", "--listen is longer than %zu bytes", sizeof g->listeners[0].address - 1);
        snprintf(g->listeners[0].address, sizeof g->listeners[0].address, "%s", daemon->listen);
        g->listener_count = 1;
        return PDK_OK;
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        memcpy(g->listeners[i].address, c->listeners[i].address, sizeof g->listeners[i].address);
        memcpy(g->listeners[i].certificate, c->listeners[i].certificate, sizeof g->listeners[i].certificate);
        g->listeners[i].door = c->listeners[i].door;
    }
    g->listener_count = c->listener_count;
    if (g->listener_count == 0) {
        snprintf(g->listeners[0].address, sizeof g->listeners[0].address, "127.0.0.1:8080");
        g->listener_count = 1;
    }
    return PDK_OK;
}

/* The environment of the daemon reaches no worker; core dumps would hold keys. */
static void protect(void)
{
#if !defined(PADDOCK_SANITIZERS) /* the leak checker attaches to its own process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* glibc keeps freed chunks for each thread; with hundreds of threads that take turns, that is memory which only grows
 * until all have had theirs. The setting is read before main, so this program starts itself again with it, once. */
static void bound_thread_caches(char **argv)
{
#if defined(__GLIBC__) && !defined(PADDOCK_SANITIZERS)
    static const char name[] = "GLIBC_TUNABLES";
    if (getenv(name) != NULL || setenv(name, "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=4", 1) != 0)
        return;
    execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

static pdk_status start(struct daemon *daemon, pdk_error *err)
{
    pdk_status status = folder_make(daemon->paths.state, 0750, err);
    if (status == PDK_OK)
        status = folder_make(daemon->paths.run, 0750, err);
    if (status == PDK_OK)
        status = channel_loop_start(&daemon->loop, err);
    if (status == PDK_OK)
        status = control_start(&daemon->control_config, daemon->loop, &daemon->control, err);
    if (status == PDK_OK)
        status = gateway_start(&daemon->gateway_config, daemon->control, daemon->loop, &daemon->gateway, err);
    if (status != PDK_OK)
        return status;
    char port[16];
    int length = snprintf(port, sizeof port, "%d\n", gateway_port(daemon->gateway));
    return file_replace(daemon->port_file, port, (size_t)length, 0644, err);
}

static void wait_for_signals(struct daemon *daemon, const sigset_t *signals)
{
    uint64_t watchdog_us = 0;
    int watched = sd_watchdog_enabled(0, &watchdog_us);
    for (;;) {
        struct timespec beat = {
            .tv_sec = (time_t)(watchdog_us / 3000000), .tv_nsec = (long)(watchdog_us / 3 % 1000000 * 1000)};
        int number = watched > 0 ? sigtimedwait(signals, NULL, &beat) : sigwaitinfo(signals, NULL);
        if (number < 0 && errno == EAGAIN)
            sd_notify(0, "WATCHDOG=1");
        else if (number == SIGHUP)
            reload(daemon, &(pdk_error){0});
        else if (number == SIGTERM || number == SIGINT)
            return;
    }
}

static void stop(struct daemon *daemon)
{
    sd_notify(0, "STOPPING=1");
    unlink(daemon->port_file);
    if (daemon->gateway != NULL)
        daemon->gateway = gateway_stop(daemon->gateway, daemon->control_config.drain_ms);
    if (daemon->control != NULL)
        daemon->control = control_stop(daemon->control);
    if (daemon->loop != NULL)
        daemon->loop = channel_loop_stop(daemon->loop);
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    pdk_error err = {0};
    bound_thread_caches(argv);
    log_open("paddockd", LOG_LEVEL_INFO);
    thread_adopt(THREAD_MAIN);
    mutex_init(&daemon.reloading);
    paths_find(&daemon.paths);
    if (!read_arguments(&daemon, argc, argv))
        return 2;
    if (prepare(&daemon, &err) != PDK_OK) {
        log_event(LOG_LEVEL_ERROR, NULL, "%s", err.message);
        return EXIT_FAILURE;
    }
    if (daemon.check) {
        PDK_CLEANUP(buffer_done) struct buffer report = {0};
        pdk_status status = control_check(&daemon.control_config, &report, &err);
        if (report.length > 0)
            fputs(report.data, stdout);
        if (status != PDK_OK)
            fprintf(stderr, "paddockd: %s\n", err.message);
        return status == PDK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    protect();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before threads, which inherit it */
    signal(SIGPIPE, SIG_IGN);
    if (start(&daemon, &err) != PDK_OK) {
        log_event(LOG_LEVEL_ERROR, NULL, "%s", err.message);
        stop(&daemon);
        return EXIT_FAILURE;
    }
    sd_notify(0, "READY=1");
    wait_for_signals(&daemon, &signals);
    log_event(LOG_LEVEL_NOTICE, NULL, "stopping");
    stop(&daemon);
    log_event(LOG_LEVEL_NOTICE, NULL, "stopped");
    return EXIT_SUCCESS;
}
