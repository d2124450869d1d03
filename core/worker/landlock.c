/* Landlock: files by the rules below, and whatever else the kernel's version can take away. Debian 12's header ends at
 * the second version, so what came later is written out here. */
#include "config.h"

#include "core/worker/sandbox.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset {
    uint64_t files;
    uint64_t net;    /* since 4 */
    uint64_t scoped; /* since 6 */
};

enum {
    RIGHTS_1 = (1 << 13) - 1, /* execute … make_sym */
    RIGHT_REFER = 1 << 13,    /* since 2 */
    RIGHT_TRUNCATE = 1 << 14, /* since 3 */
    RIGHT_IOCTL = 1 << 15,    /* since 5 */
    NET_BIND_CONNECT = 3,
    SCOPE_ABSTRACT_SIGNAL = 3
};

static int make_ruleset(int abi)
{
    struct ruleset ruleset = {.files = RIGHTS_1};
    size_t size = sizeof ruleset.files;
    if (abi >= 2)
        ruleset.files |= RIGHT_REFER;
    if (abi >= 3)
        ruleset.files |= RIGHT_TRUNCATE;
    if (abi >= 4) {
        ruleset.net = NET_BIND_CONNECT;
        size = offsetof(struct ruleset, scoped);
    }
    if (abi >= 5)
        ruleset.files |= RIGHT_IOCTL;
    if (abi >= 6) {
        ruleset.scoped = SCOPE_ABSTRACT_SIGNAL;
        size = sizeof ruleset;
    }
    return (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
}

/* Lets `path`, and what is below it, be read. One that is not there needs no rule. */
static pdk_status allow(int ruleset, const char *path, pdk_error *err)
{
    struct stat info;
    PDK_AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return PDK_OK;
    if (fd < 0 || fstat(fd, &info) != 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot open %s", path);
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd};
    if (S_ISDIR(info.st_mode))
        rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot let %s be read", path);
    return PDK_OK;
}

/* A model's folder may hold links to files elsewhere, as the Hugging Face cache has them. */
static pdk_status allow_links(int ruleset, const char *folder, pdk_error *err)
{
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return PDK_OK;
    pdk_status status = PDK_OK;
    for (struct dirent *entry = readdir(entries); entry != NULL && status == PDK_OK; entry = readdir(entries)) {
        char path[4096];
        if (entry->d_type == DT_LNK &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path)
            status = allow(ruleset, path, err);
    }
    closedir(entries);
    return status;
}

pdk_status landlock_confine(const char *const *readable, size_t count, int *ret_abi, pdk_error *err)
{
    /* How many processors there are and where their memory is; no secret of anybody's. */
    static const char *const always[] = {
        "/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo",
#ifdef PADDOCK_SANITIZERS
        "/proc", /* their reports read the process's own maps and tasks */
#endif
    };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        *ret_abi = 0;
        return PDK_OK;
    }
    PDK_AUTO_CLOSE int ruleset = make_ruleset((int)abi);
    if (ruleset < 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot make a Landlock ruleset");
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < sizeof always / sizeof always[0] && status == PDK_OK; i++)
        status = allow(ruleset, always[i], err);
    for (size_t i = 0; i < count && status == PDK_OK; i++) {
        status = allow(ruleset, readable[i], err);
        if (status == PDK_OK)
            status = allow_links(ruleset, readable[i], err);
    }
    if (status != PDK_OK)
        return status;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return pdk_error_errno(err, errno, "sandbox", "cannot enter the Landlock ruleset");
    *ret_abi = (int)abi;
    return PDK_OK;
}
