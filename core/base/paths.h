/* core/base/paths.h: where the parts of an installation are, for the daemon and the command line. */
#pragma once

#include <stdbool.h>

enum { PATH_ROOM = 1024 };

struct paths {
    char daemon[PATH_ROOM], worker[PATH_ROOM], fetch[PATH_ROOM]; /* programs */
    char runtimes[PATH_ROOM], compute[PATH_ROOM];                /* folders of plugins */
    char shipped[PATH_ROOM];                                     /* $(pkgdatadir) */
    char etc[PATH_ROOM], state[PATH_ROOM], run[PATH_ROOM];
    bool build_tree; /* this program runs where it was built */
    bool user;       /* etc, state and run are the user's own: ~/.config, ~/.local/share, $XDG_RUNTIME_DIR */
};

/* A program of a build tree takes the programs and plugins beside it. Anybody but root and the owner of the system's
 * state, and every build tree, gets folders of their own. [init] */
void paths_find(struct paths *paths);
