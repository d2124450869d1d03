/* A worker's process: exec with a clean environment and three descriptors besides its socket, watched through a pidfd,
 * so that no signal handler is needed. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/control/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKER_FD = 3, ENVIRONMENT_MAX = 8, LOG_LINES_A_SECOND = 10 };

/* Between fork and exec: async-signal-safe calls only. */
static _Noreturn void become_worker(char *const *arguments, char *const *environment, const struct binding *binding,
    int socket_fd, int log_fd, pid_t parent)
{
    if (binding->bound)
        sched_setaffinity(0, sizeof binding->cpus, &binding->cpus);

    int nothing = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* of the control thread, which lives as long as the daemon */
    if (getppid() != parent)
        _exit(127);
    /* Above the places that dup2 is about to fill. */
    socket_fd = fcntl(socket_fd, F_DUPFD, 16);
    log_fd = fcntl(log_fd, F_DUPFD, 16);
    if (nothing < 0 || socket_fd < 0 || log_fd < 0 || dup2(nothing, 0) < 0 || dup2(log_fd, 1) < 0 ||
        dup2(log_fd, 2) < 0 || dup2(socket_fd, WORKER_FD) < 0)
        _exit(127);
    close_range(WORKER_FD + 1, ~0u, 0);
    execve(arguments[0], arguments, environment);
    static const char failed[] = "<3>cannot execute the worker's program\n";
    if (write(2, failed, sizeof failed - 1) < 0)
        _exit(126);
    _exit(127);
}

/* "NAME=value" of what the document sets, or NULL. */
static const char *set_by_document(const struct text_list *environment, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = environment->count; i > 0; i--)
        if (strncmp(environment->items[i - 1], name, length) == 0 && environment->items[i - 1][length] == '=')
            return environment->items[i - 1];
    return NULL;
}

/* What a worker's process gets: these of the document's, or else of the daemon's. The rest of the document's
 * environment is for the runtime alone, and goes with the load. */
static bool make_environment(const struct plan *plan, struct text_list *environment)
{
    static const char *const passed[] = {
        "PADDOCK_COMPUTE", "PADDOCK_ISA", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    bool good = text_list_add(environment, "OPENBLAS_NUM_THREADS=1") && text_list_add(environment, "LC_ALL=C.UTF-8");
    for (size_t i = 0; good && i < sizeof passed / sizeof passed[0]; i++) {
        const char *value = getenv(passed[i]), *own = i < 2 ? set_by_document(&plan->environment, passed[i]) : NULL;
        char text[512];
        if (own != NULL)
            good = text_list_add(environment, own);
        else if (value != NULL && (size_t)snprintf(text, sizeof text, "%s=%s", passed[i], value) < sizeof text)
            good = text_list_add(environment, text);
    }
    return good && text_list_add(environment, "") /* room for the NULL */;
}

static bool make_arguments(
    const struct control_config *config, const struct catalog_service *service, struct text_list *arguments)
{
    char memory[24], threads[16];
    snprintf(memory, sizeof memory, "%" PRIu64, service->memory_bytes);
    snprintf(threads, sizeof threads, "%" PRIu32, service->threads);
    const char *sandbox = config->sandbox_off ? "off" : config->sandbox_strict ? "strict" : "on";
    const char *const all[] = {config->worker, "--fd", "3", "--plugin", service->plugin.data, "--compute-dir",
        config->compute, "--runtimes-dir", config->runtimes, "--sandbox", sandbox, "--memory", memory, "--threads",
        threads};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (!text_list_add(arguments, all[i]))
            return false;
    if (!text_list_add(arguments, "--model") || !text_list_add(arguments, service->path.data))
        return false;
    for (size_t i = 0; i < service->readable.count; i++)
        if (!text_list_add(arguments, "--read") || !text_list_add(arguments, service->readable.items[i]))
            return false;
    return text_list_add(arguments, "");
}

/* The list as execve wants it: its last, empty text becomes the NULL. */
static char *const *as_vector(struct text_list *list)
{
    free(list->items[list->count - 1]);
    list->items[--list->count] = NULL;
    return list->items;
}

static pdk_status start_process(
    struct control *control, struct replica *replica, int socket_fd, int log_fd, pdk_error *err)
{
    PDK_CLEANUP(text_list_done) struct text_list arguments = {0};
    PDK_CLEANUP(text_list_done) struct text_list environment = {0};
    const struct catalog_service *service = replica->service->desired;
    if (!make_arguments(&control->config, service, &arguments) || !make_environment(service->plan, &environment))
        return pdk_error_set(err, PDK_NO_MEMORY, "worker", "no memory to start a worker");
    char *const *argument_vector = as_vector(&arguments), *const *environment_vector = as_vector(&environment);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return pdk_error_errno(err, errno, "worker", "cannot start a worker");
    if (pid == 0)
        become_worker(argument_vector, environment_vector, &service->binding, socket_fd, log_fd, parent);
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0) {
        int number = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return pdk_error_errno(err, number, "worker", "cannot watch a worker");
    }
    replica->pid = pid;
    replica->pid_fd = pid_fd;
    return PDK_OK;
}

pdk_status worker_spawn(
    struct control *control, struct replica *replica, const struct channel_events *events, pdk_error *err)
{
    int sockets[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return pdk_error_errno(err, errno, "worker", "cannot make a socket for a worker");
    PDK_AUTO_CLOSE int ours = sockets[0];
    PDK_AUTO_CLOSE int theirs = sockets[1];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return pdk_error_errno(err, errno, "worker", "cannot make a pipe for a worker");
    PDK_AUTO_CLOSE int log_read = pipes[0];
    PDK_AUTO_CLOSE int log_write = pipes[1];
    fcntl(log_read, F_SETFL, O_NONBLOCK);
    pdk_status status = start_process(control, replica, theirs, log_write, err);
    if (status != PDK_OK)
        return status;
    status = channel_open(control->loop, PDK_STEAL_FD(ours), events, &replica->channel, err);
    if (status != PDK_OK) {
        worker_signal(replica, SIGKILL);
        waitid(P_PIDFD, (id_t)replica->pid_fd, &(siginfo_t){0}, WEXITED);
        close(replica->pid_fd);
        replica->pid_fd = -1;
        return status;
    }
    replica->log_fd = PDK_STEAL_FD(log_read);
    const struct buffer *load = &replica->service->desired->load;
    channel_load(replica->channel, load->data, load->length);
    return PDK_OK;
}

void worker_signal(const struct replica *replica, int number)
{
    if (replica->pid_fd >= 0)
        pidfd_send_signal(replica->pid_fd, number, NULL, 0);
}

bool worker_reap(struct replica *replica)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)replica->pid_fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return false;
    if (info.si_code == CLD_EXITED)
        replica->exit_code = info.si_status;
    else
        replica->exit_signal = info.si_status;
    close(replica->pid_fd);
    replica->pid_fd = -1;
    replica->exited = true;
    return true;
}

/* ---- its output */

/* A line may begin with "<N>", the level as the journal takes it. */
static void take_line(struct replica *replica, const char *line, size_t length)
{
    enum log_level level = LOG_LEVEL_INFO;
    if (length >= 3 && line[0] == '<' && line[1] >= '3' && line[1] <= '7' && line[2] == '>') {
        level = (enum log_level)(line[1] - '0');
        line += 3;
        length -= 3;
    }
    ring_log_put(replica->pod->log, line, length);
    int64_t second = monotonic_ms() / 1000;
    if (second != replica->log_budget.second) {
        if (replica->log_budget.seen > LOG_LINES_A_SECOND)
            log_event(LOG_LEVEL_WARNING, &(struct log_fields){.replica = replica->pod->name},
                "%u lines left out; paddock logs has them", replica->log_budget.seen - LOG_LINES_A_SECOND);
        replica->log_budget = (struct log_budget){.second = second};
    }
    if (++replica->log_budget.seen > LOG_LINES_A_SECOND)
        return;
    log_event(level, &(struct log_fields){.replica = replica->pod->name, .revision = replica->pod->revision_name},
        "%.*s", (int)length, line);
}

static void take_bytes(struct replica *replica, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool full = replica->line_length == sizeof replica->line;
        if (bytes[i] == '\n' || full) {
            take_line(replica, replica->line, replica->line_length);
            replica->line_length = 0;
        }
        if (bytes[i] != '\n')
            replica->line[replica->line_length++] = bytes[i];
    }
}

void worker_read_log(struct replica *replica, bool all)
{
    char bytes[4096];
    for (int rounds = 0; replica->log_fd >= 0 && (all || rounds < 16); rounds++) {
        ssize_t got = read(replica->log_fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0 || all || errno != EAGAIN) {
                close(replica->log_fd);
                replica->log_fd = -1;
            }
            break;
        }
        take_bytes(replica, bytes, (size_t)got);
    }
    if (all && replica->line_length > 0) {
        take_line(replica, replica->line, replica->line_length);
        replica->line_length = 0;
    }
}
