/* core/cli/private_daemon.h: a paddockd of one's own for one model, gone with this process. */
#pragma once

#include "core/base/paths.h"
#include "core/cli/client.h"

#include <paddock/abi.h>
#include <sys/types.h>

struct private_daemon {
    pid_t child;
    char folder[64]; /* temporary: etc/, run/, log */
    char name[64];   /* the service's */
};

/* Starts a daemon with the model at `path` and waits until it serves, telling progress on stderr. Fills `ret_client`
 * with its address. */
pdk_status private_daemon_start(const struct paths *paths, const char *path, struct private_daemon *ret_daemon,
    struct client *ret_client, pdk_error *err);
/* Stops it and removes its folder. */
void private_daemon_stop(struct private_daemon *daemon);
