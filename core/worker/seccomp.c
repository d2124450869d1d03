/* The system calls of a runtime on a CPU: reading, memory without code, threads, waiting. Everything else answers
 * EPERM, so that a library that tries its luck goes on without. Where glibc has an older way to fall back on, the
 * answer is ENOSYS. */
#include "config.h"

#include "core/worker/sandbox.h"

#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* By name, as some are missing on some machines. */
static const char *const allowed[] = {
    "access",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "close_range",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fcntl",
    "fstat",
    "fstatfs",
    "ftruncate",
    "futex",
    "futex_waitv",
    "get_mempolicy",
    "getcpu",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "lseek",
    "lstat",
    "madvise",
    "mbind",
    "membarrier",
    "memfd_create",
    "mincore",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "pwrite64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_yield",
    "sendmsg",
    "sendto",
    "set_mempolicy",
    "set_robust_list",
    "sigaltstack",
    "stat",
    "statx",
    "sysinfo",
    "time",
    "uname",
    "write",
    "writev",
};

static int allow_plain(scmp_filter_ctx filter)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && failed == 0; i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);
        if (number != __NR_SCMP_ERROR)
            failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
    return failed;
}

/* Those that depend on what they are asked for. */
static int allow_checked(scmp_filter_ctx filter)
{
    const uint64_t kinds = CLONE_THREAD | CLONE_VM | CLONE_VFORK | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    const struct {
        int number;
        struct scmp_arg_cmp argument;
    } rules[] = {
        {SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)},
        {SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)},
        {SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, kinds, CLONE_THREAD | CLONE_VM)},
        {SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)}, /* abort() */
        {SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)},
        {SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME, 0)},
        {SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0, 0)}, /* reading */
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && failed == 0; i++)
        failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].number, 1, &rules[i].argument);
    if (failed == 0) /* a thread makes way for others */
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2,
            SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS, 0), SCMP_A1(SCMP_CMP_EQ, 0, 0));
    return failed;
}

static int answer_otherwise(scmp_filter_ctx filter)
{
    int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); /* its flags cannot be seen */
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0); /* isatty() */
    return failed;
}

pdk_status seccomp_confine(pdk_error *err)
{
#ifdef PADDOCK_SANITIZERS
    /* Their runtimes need ptrace, clone and more at the end: such calls pass and are logged by the kernel. */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_LOG);
#else
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
#endif
    if (filter == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "sandbox", "no memory for the seccomp filter");
    int failed = allow_plain(filter);
    if (failed == 0)
        failed = allow_checked(filter);
#ifndef PADDOCK_SANITIZERS
    if (failed == 0)
        failed = answer_otherwise(filter);
#else
    (void)answer_otherwise;
#endif
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    if (failed != 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, "sandbox", "cannot load the seccomp filter: %s", strerror(-failed));
    return PDK_OK;
}
