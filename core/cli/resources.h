/* core/cli/resources.h: what a daemon serves, through its Kubernetes API. Each prints and gives the exit status. */
#pragma once

#include "core/cli/client.h"

#include <stdbool.h>

int resources_list(const struct client *client);
int resources_status(const struct client *client, const char *name);
/* The log of the service's pod. `follow`: until interrupted. `previous`: of the worker before. */
int resources_logs(const struct client *client, const char *name, bool follow, bool previous, const char *tail);
/* Whether the daemon serves a model called `name`. */
bool resources_serves(const struct client *client, const char *name);
