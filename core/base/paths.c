/* See the header. */
#include "config.h"

#include "core/base/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void join(char *to, const char *folder, const char *name)
{
    if ((size_t)snprintf(to, PATH_ROOM, "%s/%s", folder, name) >= PATH_ROOM)
        to[0] = '\0';
}

/* The folder of this program, when it is a build tree's. */
static bool find_build_tree(char *folder)
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_ROOM - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    char mark[PATH_ROOM];
    join(mark, folder, "build/lib/runtimes");
    return mark[0] != '\0' && access(mark, F_OK) == 0;
}

static void user_folder(char *to, const char *variable, const char *below_home)
{
    const char *given = getenv(variable), *home = getenv("HOME");
    char base[PATH_ROOM];
    if (given != NULL && given[0] == '/' && strlen(given) < sizeof base)
        memcpy(base, given, strlen(given) + 1);
    else
        join(base, home != NULL && home[0] == '/' ? home : "/tmp", below_home);
    join(to, base, "paddock");
}

void paths_find(struct paths *paths)
{
    memset(paths, 0, sizeof *paths);
    char tree[PATH_ROOM];
    paths->build_tree = find_build_tree(tree);
    if (paths->build_tree) {
        join(paths->daemon, tree, "paddockd");
        join(paths->worker, tree, "paddock-worker");
        join(paths->fetch, tree, "paddock-fetch");
        join(paths->runtimes, tree, "build/lib/runtimes");
        join(paths->compute, tree, "build/lib/compute");
        join(paths->shipped, tree, "build/share");
    } else {
        join(paths->daemon, PADDOCK_SBINDIR, "paddockd");
        join(paths->worker, PADDOCK_LIBEXECDIR, "paddock-worker");
        join(paths->fetch, PADDOCK_LIBEXECDIR, "paddock-fetch");
        join(paths->runtimes, PADDOCK_PKGLIBDIR, "runtimes");
        join(paths->compute, PADDOCK_PKGLIBDIR, "compute");
        snprintf(paths->shipped, PATH_ROOM, "%s", PADDOCK_PKGDATADIR);
    }
    join(paths->state, PADDOCK_LOCALSTATEDIR, "lib/paddock");
    paths->user = paths->build_tree || (geteuid() != 0 && access(paths->state, W_OK) != 0);
    if (paths->user) {
        user_folder(paths->etc, "XDG_CONFIG_HOME", ".config");
        user_folder(paths->state, "XDG_DATA_HOME", ".local/share");
        user_folder(paths->run, "XDG_RUNTIME_DIR", ".cache");
    } else {
        join(paths->etc, PADDOCK_SYSCONFDIR, "paddock");
        join(paths->run, PADDOCK_RUNSTATEDIR, "paddock");
    }
}
