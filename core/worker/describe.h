/* core/worker/describe.h: telling about a runtime without a model or a daemon. */
#pragma once

/* Prints name, description, ABI and options of the runtime in `path` as JSON. Returns the exit status. [init] */
int describe(const char *path);
