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

static pdk_status check_alone(pdk_error *err)
{
    int threads = count_threads() - THREADS_OF_OTHERS;
    if (threads > 1)
        return pdk_error_set(err, PDK_UNSUPPORTED, "plugin",
            "a plugin or a library of it started %d threads when it was loaded; they would escape the sandbox", threads - 1);
    return PDK_OK;
}

pdk_status sandbox_confine(struct worker *worker, pdk_error *err)
{
    const struct worker_arguments *arguments = worker->arguments;
    if (arguments->sandbox == SANDBOX_OFF) {
        snprintf(worker->sandbox, sizeof worker->sandbox, "off");
        worker_log(PDK_LOG_WARNING, "the sandbox is off");
        return PDK_OK;
    }
    pdk_status status = check_alone(err);
    if (status != PDK_OK)
        return status;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot give up new privileges");
    int abi = 0;
    status = landlock_confine(arguments->readable, arguments->readable_count, &abi, err);
    if (status != PDK_OK)
        return status;
    if (abi == 0 && arguments->sandbox == SANDBOX_STRICT)
        return pdk_error_set(err, PDK_UNSUPPORTED, "sandbox", "the kernel has no Landlock, and the sandbox is strict");
    status = seccomp_confine(err);
    if (status != PDK_OK)
        return status;
    if (abi == 0) {
        snprintf(worker->sandbox, sizeof worker->sandbox, "seccomp; missing: landlock, which the kernel lacks");
        worker_log(PDK_LOG_WARNING, "sandbox: the kernel has no Landlock, so every file that this user may read can be read");
    } else {
        snprintf(worker->sandbox, sizeof worker->sandbox, "landlock %d, seccomp", abi);
    }
    return PDK_OK;
}
