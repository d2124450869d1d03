/* core/fetch/transfer.h: HTTP downloads that resume, are checked, and go only where they were told to.
 *
 * Redirects are followed by hand, five at most: each hop obeys the same rules. An address that is loopback, private or
 * link-local is refused before a connection is made, unless the user named that very host or listed it. Credentials go
 * to the host they were given for and no other. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>
#include <stdint.h>

struct transfer; /* a libcurl handle and its rules; one thread */

struct transfer_rules {
    const char *token;      /* bearer token, or NULL */
    const char *token_host; /* the only host it goes to */
    const char *allowed;    /* hosts that may be private, separated by commas, or NULL */
    const char *user_agent;
    /* Told as bytes arrive; total 0: unknown. May be NULL. */
    void (*progress)(void *context, const char *file, uint64_t done, uint64_t total);
    void *context;
};

pdk_status transfer_new(const struct transfer_rules *rules, struct transfer **ret_transfer, pdk_error *err);
struct transfer *transfer_free(struct transfer *transfer); /* takes NULL, returns NULL */

/* A small answer, at most `max_bytes`. */
pdk_status transfer_text(
    struct transfer *transfer, const char *url, size_t max_bytes, struct buffer *ret_text, pdk_error *err);

struct transfer_file {
    const char *url;
    const char *label;  /* what progress calls it */
    int folder;         /* descriptor of the folder it goes to */
    const char *name;   /* its file there; NAME.part and NAME.etag while it is incomplete */
    uint64_t bytes;     /* expected, 0: unknown */
    const char *sha256; /* expected, lower case hex; NULL or "": unknown */
};

/* Downloads into NAME.part, going on where an earlier try ended if the server still has the same file, checks size and
 * hash, makes it durable and read-only, and renames it. A file that is there already with the right size and hash is
 * left. PDK_CONFLICT: it hashes to something else; the part is deleted. */
pdk_status transfer_download(struct transfer *transfer, const struct transfer_file *file, pdk_error *err);
