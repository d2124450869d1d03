/* The order is that of reliability: a thread that exists before Landlock stays unconfined, so there must be none. */
#include "config.h"

#include "core/worker/sandbox.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
enum { THREADS_OF_OTHERS = 1 }; /* ThreadSanitizer keeps one of its own */
#else
enum { THREADS_OF_OTHERS = 0 };
#endif

void sandbox_close_descriptors(int keep)
{
    if (keep > 3)
        close_range(3, (unsigned)keep - 1, 0);
    close_range((unsigned)(keep < 3 ? 3 : keep + 1), ~0u, 0);
}

pdk_status sandbox_follow_parent(int fd, pdk_error *err)
{
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot follow the daemon");
    /* The parent may have ended before that. Its socket knows who made it; a tracer in between is fine. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0 && peer.pid != getppid() &&
        kill(peer.pid, 0) != 0 && errno == ESRCH)
        return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "the daemon is gone");
    return PDK_OK;
}

/* When memory runs out, a replica goes before the daemon. What the kernel refuses here is no loss. */
static void prefer_as_victim(void)
{
    PDK_AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t ignored = fd >= 0 ? write(fd, "200", 3) : 0;
    (void)ignored;
}

pdk_status sandbox_limit_resources(pdk_error *err)
{
    prefer_as_victim();
    const struct rlimit no_core = {0, 0};
    struct rlimit files;
    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || getrlimit(RLIMIT_NOFILE, &files) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot limit resources");
    if (files.rlim_max > 256)
        files.rlim_max = 256;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot limit descriptors");
    return PDK_OK;
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return -1;
    int count = 0;
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks))
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static pdk_status check_alone(const char *plugin, pdk_error *err)
{
    int threads = count_threads() - THREADS_OF_OTHERS;
    if (threads > 1)
        return pdk_error_set(err, PDK_UNSUPPORTED, "plugin",
            "%s, or a library of it, started %d threads when it was loaded; they would escape the sandbox", plugin,
            threads - 1);
    return PDK_OK;
}

/* A layer that is not to be had: an error where all are demanded, else a warning and a word in the report. */
static pdk_status do_without(struct worker *worker, const char *layer, const char *why, pdk_error *err)
{
    if (worker->arguments->sandbox == SANDBOX_STRICT)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "sandbox", "the sandbox is strict, and %s is missing: %s", layer, why);
    worker_log(PDK_LOG_WARNING, "sandbox: %s is missing: %s", layer, why);
    size_t length = strlen(worker->sandbox);
    snprintf(
        worker->sandbox + length, sizeof worker->sandbox - length, "%smissing: %s", length != 0 ? ", " : "", layer);
    return PDK_OK;
}

static pdk_status enter_landlock(struct worker *worker, pdk_error *err)
{
    int abi = 0;
    pdk_status status = landlock_confine(worker->arguments->readable, worker->arguments->readable_count, &abi, err);
    if (status != PDK_OK)
        return status;
    if (abi == 0)
        return do_without(worker, "landlock", "the kernel lacks it, so whatever this user may read can be read", err);
    snprintf(worker->sandbox, sizeof worker->sandbox, "landlock %d", abi);
    return PDK_OK;
}

static pdk_status enter_seccomp(struct worker *worker, pdk_error *err)
{
    pdk_error why;
    if (seccomp_confine(&why) != PDK_OK)
        return do_without(worker, "seccomp", why.message, err);
    size_t length = strlen(worker->sandbox);
    snprintf(worker->sandbox + length, sizeof worker->sandbox - length, "%sseccomp", length != 0 ? ", " : "");
    return PDK_OK;
}

pdk_status sandbox_confine(struct worker *worker, pdk_error *err)
{
    if (worker->arguments->sandbox == SANDBOX_OFF) {
        snprintf(worker->sandbox, sizeof worker->sandbox, "off");
        worker_log(PDK_LOG_WARNING, "the sandbox is off");
        return PDK_OK;
    }
    pdk_status status = check_alone(worker->arguments->plugin, err);
    if (status != PDK_OK)
        return status;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot give up new privileges");
    status = enter_landlock(worker, err);
    return status == PDK_OK ? enter_seccomp(worker, err) : status;
}
