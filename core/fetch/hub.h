/* core/fetch/hub.h: which files of a hub's repository make a model that Paddock reads, and fetching them. */
#pragma once

#include "core/base/json.h"
#include "core/fetch/source.h"
#include "core/fetch/transfer.h"

#include <paddock/abi.h>

struct hub_file {
    char name[513];
    char sha256[65]; /* "" for small files, which the hub keeps in git */
    uint64_t bytes;
};

struct hub_listing {
    struct hub_file *files;
    size_t count, room;
};
void hub_listing_done(struct hub_listing *listing);

/* Picks from the hub's answer to .../tree/REVISION?recursive=true. With `only`, that file alone; else configuration,
 * tokenizer and safetensors (never pickles), or the one GGUF of a repository that has no safetensors. PDK_NOT_FOUND
 * lists what is there. Names that are unsafe as paths are refused. */
pdk_status hub_pick(const struct json *tree, const char *only, struct hub_listing *ret_listing, pdk_error *err);

/* Fetches the repository into `folder` (made if need be). `endpoint`: "https://huggingface.co" or HF_ENDPOINT's. */
pdk_status hub_fetch(
    struct transfer *transfer, const char *endpoint, const struct source *source, const char *folder, pdk_error *err);
