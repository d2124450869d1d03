/* core/gateway/watch.h: deadlines of reads that block in CivetWeb. A thread that waits for a body cannot look at the
 * clock; this one does, and shuts the socket's reading side down, which ends the wait. */
#pragma once

#include <paddock/abi.h>
#include <stdint.h>

struct watch;

/* One armed read; lives in the reader's frame from watch_arm to watch_disarm. */
struct watched {
    int fd;
    int64_t deadline_ms;
    struct watched *previous, *next;
    int fired; /* read after watch_disarm */
};

pdk_status watch_start(struct watch **ret_watch, pdk_error *err); /* [init] */
struct watch *watch_stop(struct watch *watch);                    /* [main-thread] */
/* Shuts `watched->fd` down for reading when its deadline passes, give or take half a second. [gateway-thread] */
void watch_arm(struct watch *watch, struct watched *watched);
void watch_disarm(struct watch *watch, struct watched *watched);
