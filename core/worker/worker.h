/* core/worker/worker.h: what the files of this program share. One worker is one replica: one runtime, one model. */
#pragma once

#include "core/ipc/link.h"

#include <paddock/compute.h>
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How the program ends; the daemon tells them to people. */
enum worker_exit {
    WORKER_EXIT_BYE = 0,
    WORKER_EXIT_USAGE = 2,
    WORKER_EXIT_LOAD = 3,     /* the plugin or the model was refused; a load_failed frame said why */
    WORKER_EXIT_PLUGIN = 4,   /* the runtime broke its contract */
    WORKER_EXIT_PROTOCOL = 5, /* the daemon sent what is no frame */
    WORKER_EXIT_SIGBUS = 6,   /* a mapped file got shorter or cannot be read */
    WORKER_EXIT_CUT = 7       /* the daemon closed the channel, or died */
};

enum sandbox_mode { SANDBOX_ON, SANDBOX_STRICT, SANDBOX_OFF };

enum { WORKER_READABLE_MAX = 16 };

/* The command line. */
struct worker_arguments {
    int fd;
    const char *plugin;                        /* absolute path of the runtime's .so */
    const char *runtimes;                      /* its folder */
    const char *compute;                       /* the folder of compute plugins */
    const char *model;                         /* absolute path of the model */
    const char *readable[WORKER_READABLE_MAX]; /* the model, and further paths that may be read */
    size_t readable_count;
    enum sandbox_mode sandbox;
    uint64_t memory_bytes; /* 0: no limit */
    uint32_t threads;
};

struct metrics;
struct responses;

struct worker {
    const struct worker_arguments *arguments;
    struct link link;
    const pdk_runtime *runtime;
    void *self; /* the runtime's state */
    pdk_host host;
    pdk_host_compute compute; /* compute NULL: none */
    const pdk_model *model;
    const pdk_generate *generate;
    const pdk_tokenize *tokenize;
    const pdk_pool *pool;
    struct metrics *metrics;
    struct responses *responses;
    char sandbox[256];        /* what is in force */
    _Atomic int64_t alive_ms; /* last pdk_host.alive */
    _Atomic int64_t progress_ms;
    bool draining;
};

/* log.c: "<level>message" on stderr, one line, one write. [any-thread] */
void worker_log(int level, const char *format, ...) PDK_PRINTF(2, 3);
/* The runtime broke its contract: says how and ends the program at once, as its state cannot be trusted. */
_Noreturn void worker_blame_runtime(const char *format, ...) PDK_PRINTF(1, 2);

/* host.c: fills worker->host. */
void worker_host_init(struct worker *worker);

/* replica.c: from init to bye. Returns the exit status. */
int replica_run(struct worker *worker);
/* The part of it between ready and bye. PDK_OK: drained. PDK_UNAVAILABLE: the daemon is gone; else it broke the
 * protocol. */
pdk_status replica_serve(struct worker *worker, pdk_error *err);
/* Tells the daemon why the load failed, and the log. */
int replica_refuse(struct worker *worker, const pdk_error *err);
