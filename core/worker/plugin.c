/* dlopen runs a file's code, so everything that can be known of it is looked at before: who may write it, and that it
 * is an ELF whose segments lie inside the file (the loader maps what the headers say, and a short file ends in SIGBUS).
 */
#include "config.h"

#include "core/worker/plugin.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
#error "this machine's ELF number is not known here"
#endif

enum { HEADERS_MAX = 256 };

/* Who owns it may change it: root and this user are fine. So is a group that is root's or this user's own. */
static const char *distrust(const struct stat *info)
{
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return "belongs to another user";
    if ((info->st_mode & S_IWOTH) != 0)
        return "can be written by others";
    if ((info->st_mode & S_IWGRP) != 0 && info->st_gid != 0 && info->st_gid != getegid())
        return "can be written by a group";
    return NULL;
}

static pdk_status check_folder(const char *folder, bool directly_above, const char *path, pdk_error *err)
{
    struct stat info;
    if (stat(folder, &info) != 0)
        return pdk_error_errno(err, errno, "plugin", "cannot look at folder %s", folder);
    /* In a sticky folder (/tmp) others can add names, not replace ours; the plugin's own folder must not even have
     * those. */
    if ((info.st_mode & S_ISVTX) != 0 && !directly_above && (info.st_uid == 0 || info.st_uid == geteuid()))
        return PDK_OK;
    const char *why = distrust(&info);
    if (why != NULL)
        return pdk_error_value(err, PDK_DENIED, "plugin", path, "%s is refused: folder %s %s", path, folder, why);
    return PDK_OK;
}

static pdk_status check_folders_above(const char *path, pdk_error *err)
{
    char folder[PATH_MAX];
    bool directly_above = true;
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strrchr(folder, '/'); slash != NULL; slash = strrchr(folder, '/')) {
        slash[slash == folder] = '\0';
        pdk_status status = check_folder(folder, directly_above, path, err);
        if (status != PDK_OK || slash == folder)
            return status;
        directly_above = false;
    }
    return PDK_OK;
}

static pdk_status check_place(const char *path, const char *folder, pdk_error *err)
{
    if (path[0] != '/' || strlen(path) >= PATH_MAX)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%.200s is refused: not an absolute path", path);
    size_t length = folder != NULL ? strlen(folder) : 0;
    while (length > 0 && folder[length - 1] == '/')
        length--;
    if (folder != NULL && (strncmp(path, folder, length) != 0 || path[length] != '/'))
        return pdk_error_value(
            err, PDK_DENIED, "plugin", path, "%s is refused: not in the plugin folder %s", path, folder);
    if (strstr(path, "/../") != NULL || strstr(path, "/./") != NULL)
        return pdk_error_value(err, PDK_DENIED, "plugin", path, "%s is refused: its path has dots", path);
    return PDK_OK;
}

static bool read_at(int fd, void *to, size_t length, off_t offset)
{
    return pread(fd, to, length, offset) == (ssize_t)length;
}

static const char *elf_fault(int fd, uint64_t file_bytes)
{
    Elf64_Ehdr head;
    if (!read_at(fd, &head, sizeof head, 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file";
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_machine != MACHINE)
        return "it is built for another machine";
    if (head.e_type != ET_DYN || head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum == 0 ||
        head.e_phnum > HEADERS_MAX)
        return "it is not a shared object";
    for (size_t i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr segment;
        uint64_t end;
        if (head.e_phoff > file_bytes ||
            !read_at(fd, &segment, sizeof segment, (off_t)(head.e_phoff + i * sizeof segment)))
            return "it is cut short";
        if (__builtin_add_overflow(segment.p_offset, segment.p_filesz, &end) || end > file_bytes)
            return "it is cut short";
    }
    return NULL;
}

static pdk_status check_file(const char *path, pdk_error *err)
{
    PDK_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return pdk_error_errno(err, errno, "plugin", "cannot open plugin %s", path);
    if (!S_ISREG(info.st_mode))
        return pdk_error_value(err, PDK_DENIED, "plugin", path, "%s is refused: not a regular file", path);
    const char *why = distrust(&info);
    if (why != NULL)
        return pdk_error_value(err, PDK_DENIED, "plugin", path, "%s is refused: it %s", path, why);
    why = elf_fault(fd, (uint64_t)info.st_size);
    if (why != NULL)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s is no plugin: %s", path, why);
    return PDK_OK;
}

pdk_status plugin_check(const char *path, const char *folder, pdk_error *err)
{
    char real[PATH_MAX];
    pdk_status status = check_place(path, folder, err);
    if (status != PDK_OK)
        return status;
    if (realpath(path, real) == NULL)
        return pdk_error_errno(err, errno, "plugin", "cannot find plugin %s", path);
    status = check_folders_above(path, err);
    if (status == PDK_OK && strcmp(path, real) != 0)
        status = check_folders_above(real, err); /* a link is as good as where it leads */
    return status == PDK_OK ? check_file(real, err) : status;
}

static pdk_status open_symbol(
    const char *path, const char *folder, const char *symbol, const void **ret_entry, pdk_error *err)
{
    pdk_status status = plugin_check(path, folder, err);
    if (status != PDK_OK)
        return status;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s cannot be loaded: %s", path, dlerror());
    const void *entry = dlsym(handle, symbol);
    if (entry == NULL)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s has no symbol %s", path, symbol);
    *ret_entry = entry;
    return PDK_OK;
}

/* The three frozen fields come first in both tables. */
static pdk_status check_version(
    const char *path, const uint32_t head[3], uint32_t major, uint32_t least_size, pdk_error *err)
{
    if (head[1] != major)
        return pdk_error_value(
            err, PDK_UNSUPPORTED, "plugin", path, "%s is built for ABI %u; this is ABI %u", path, head[1], major);
    if (head[0] < least_size)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s has an entry of %u bytes; at least %u are needed",
            path, head[0], least_size);
    return PDK_OK;
}

static bool is_plugin_name(const char *name)
{
    size_t length = name != NULL ? strnlen(name, 64) : 0;
    return length > 0 && length < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

pdk_status plugin_open_runtime(const char *path, const char *folder, const pdk_runtime **ret_runtime, pdk_error *err)
{
    const void *entry;
    pdk_status status = open_symbol(path, folder, "pdk_runtime_entry", &entry, err);
    if (status != PDK_OK)
        return status;
    status = check_version(path, entry, PDK_RUNTIME_ABI_MAJOR, offsetof(pdk_runtime, done) + sizeof(void *), err);
    if (status != PDK_OK)
        return status;
    const pdk_runtime *runtime = entry;
    if (!is_plugin_name(runtime->name) || runtime->init == NULL || runtime->get_extension == NULL ||
        runtime->done == NULL)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s has an entry without a name or a function", path);
    *ret_runtime = runtime;
    return PDK_OK;
}

static pdk_status open_one_compute(
    const char *path, const char *folder, const pdk_compute **ret_compute, pdk_error *err)
{
    const void *entry;
    pdk_status status = open_symbol(path, folder, "pdk_compute_entry", &entry, err);
    if (status != PDK_OK)
        return status;
    status = check_version(path, entry, PDK_COMPUTE_ABI_MAJOR, offsetof(pdk_compute, done) + sizeof(void *), err);
    if (status != PDK_OK)
        return status;
    const pdk_compute *compute = entry;
    if (!is_plugin_name(compute->name) || compute->score == NULL || compute->init == NULL ||
        compute->get_extension == NULL || compute->done == NULL)
        return pdk_error_value(err, PDK_INVALID, "plugin", path, "%s has an entry without a name or a function", path);
    *ret_compute = compute;
    return PDK_OK;
}

/* 0: cannot run here, or is not the one that is forced. */
static int32_t score_of(const pdk_compute *compute, const char *forced)
{
    return forced != NULL && strcmp(compute->name, forced) != 0 ? 0 : compute->score();
}

pdk_status plugin_open_compute(const char *folder, const char *forced, void (*refused)(const pdk_error *err),
    const pdk_compute **ret_compute, pdk_error *err)
{
    const pdk_compute *best = NULL;
    int32_t best_score = 0;
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0)
        return pdk_error_errno(err, errno, "compute", "cannot list compute plugins in %s", folder);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]->d_name);
        char path[PATH_MAX];
        if (length > 3 && strcmp(names[i]->d_name + length - 3, ".so") == 0 &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) < sizeof path) {
            const pdk_compute *compute = NULL;
            pdk_error why;
            if (open_one_compute(path, folder, &compute, &why) != PDK_OK)
                refused(&why);
            int32_t score = compute != NULL ? score_of(compute, forced) : 0;
            if (score > best_score) {
                best = compute;
                best_score = score;
            }
        }
        free(names[i]);
    }
    free(names);
    if (best == NULL && forced != NULL)
        return pdk_error_value(err, PDK_NOT_FOUND, "PADDOCK_COMPUTE", forced,
            "no compute plugin named %s in %s runs on this machine", forced, folder);
    if (best == NULL)
        return pdk_error_set(err, PDK_NOT_FOUND, "compute", "no compute plugin in %s runs on this machine", folder);
    *ret_compute = best;
    return PDK_OK;
}
