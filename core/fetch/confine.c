/* Landlock for files, seccomp for programs: a resolver or TLS library needs too many calls for an allow-list. */
#include "config.h"

#include "core/fetch/confine.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* What writing is, by the first ABI; later ones add to it. */
static const uint64_t writes =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
static const uint64_t allowed_below = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                      LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                      LANDLOCK_ACCESS_FS_MAKE_REG;

static pdk_status confine_files(const char *folder, pdk_error *err)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
        return PDK_OK;
    struct landlock_ruleset_attr rules = {.handled_access_fs = writes};
    PDK_AUTO_CLOSE int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    PDK_AUTO_CLOSE int fd = open(folder, O_PATH | O_CLOEXEC);
    if (ruleset < 0 || fd < 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot confine writes to %s", folder);
    struct landlock_path_beneath_attr below = {.allowed_access = allowed_below, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot confine writes to %s", folder);
    return PDK_OK;
}

pdk_status confine_to(const char *folder, pdk_error *err)
{
    static const int never[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(listen),
        SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(mount), SCMP_SYS(bpf), SCMP_SYS(unshare), SCMP_SYS(setns),
        SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(keyctl), SCMP_SYS(add_key),
        SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(io_uring_setup)};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot give up privileges");
    pdk_status status = confine_files(folder, err);
    if (status != PDK_OK)
        return status;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int failed = filter == NULL;
    for (size_t i = 0; i < sizeof never / sizeof never[0] && !failed; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), never[i], 0) != 0;
    failed = failed || seccomp_load(filter) != 0;
    seccomp_release(filter);
    return failed ? pdk_error_set(err, PDK_IO, "sandbox", "cannot load the system call filter") : PDK_OK;
}
