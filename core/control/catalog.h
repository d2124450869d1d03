/* core/control/catalog.h: what the documents ask for, worked out against this machine: the desired state. Read by
 * whoever starts or reloads, never by the control thread, which must not wait for a disk; immutable from then on. */
#pragma once

#include "core/control/binding.h"
#include "core/control/control.h"
#include "core/control/revisions.h"
#include "core/spec/plan.h"

struct catalog_service {
    const struct resource *resource;
    struct plan *plan;         /* NULL: no runtime, or a document that cannot be merged */
    const char *reason;        /* KServe's reason when refused, else NULL */
    bool stopped;              /* by the annotation serving.kserve.io/stop: nothing of it runs */
    pdk_error refused;         /* status PDK_OK: it may run */
    struct buffer path;        /* of its model; /dev/null, an empty file, for a runtime that needs none */
    struct text_list readable; /* absolute paths in its arguments, which the worker may read as well */
    struct buffer plugin;      /* absolute path of the runtime's file */
    struct buffer load;        /* payload of the load frame */
    uint32_t threads;
    struct binding binding;
    uint64_t memory_bytes;
    uint32_t revision;
    uint64_t generation;
    int64_t created;
    char uid[37];
    char host[320];
    char key[320]; /* NAMESPACE/NAME */
};

struct catalog {
    struct resource_set set;
    struct catalog_service *services; /* oldest first */
    size_t count;
    struct buffer warnings; /* a line each */
};

/* Reads shipped/runtimes.d, etc/runtimes.d and etc/models.d, and numbers revisions in `revisions`. All or nothing. */
pdk_status catalog_read(
    const struct control_config *config, struct revisions *revisions, struct catalog **ret_catalog, pdk_error *err);
struct catalog *catalog_free(struct catalog *catalog); /* takes NULL, returns NULL */
void catalog_freep(struct catalog **catalog);
