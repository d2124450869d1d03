/* core/control/revisions.h: what of a service must survive a restart of the daemon: when it was created, its
 * generation, the number of its revision. Kept in STATE/services.json, replaced as a whole. Used by whoever reads the
 * documents, under the reload lock. */
#pragma once

#include "core/base/json.h"

struct revision_row {
    char *key; /* NAMESPACE/NAME */
    int64_t created;
    uint64_t generation;
    uint32_t revision;
    uint64_t spec_hash, template_hash;
    bool seen; /* by this reading */
};

struct revisions {
    struct revision_row *rows;
    size_t count, room;
};

void revisions_done(struct revisions *revisions);
/* A file that is not there is empty; one that is damaged is set aside as PATH.corrupt, with a warning in the log. */
pdk_status revisions_read(struct revisions *revisions, const char *path, pdk_error *err);
pdk_status revisions_write(const struct revisions *revisions, const char *path, pdk_error *err);
pdk_status revisions_copy(const struct revisions *from, struct revisions *to, pdk_error *err);
/* The row of `key` after it was found with these contents: numbers rise where a hash differs. Marks it seen. */
pdk_status revisions_note(struct revisions *revisions, const char *key, uint64_t spec_hash, uint64_t template_hash,
    int64_t now, const struct revision_row **ret_row, pdk_error *err);
/* Forgets what was not seen since the last call. */
void revisions_prune(struct revisions *revisions);
