/* tests/unit/fake_worker.h: a worker without a process: a thread that answers each request with as many parts as its
 * max_tokens says, one a step, the way an engine would. */
#pragma once

#include "core/ipc/channel.h"

#include <pthread.h>
#include <stdatomic.h>

struct fake_worker {
    int fd; /* its end */
    pthread_t thread;
    uint32_t part_bytes;        /* of text in each part */
    _Atomic uint64_t requests;  /* taken */
    _Atomic uint64_t cancelled; /* finished with PDK_CANCELLED */
    _Atomic bool paused;        /* takes frames, makes no step */
};

/* Starts it; `ret_fd` is the daemon's end. */
void fake_worker_start(struct fake_worker *worker, int *ret_fd);
void fake_worker_join(struct fake_worker *worker); /* once its peer closed */
