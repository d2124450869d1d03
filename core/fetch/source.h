/* core/fetch/source.h: what a URI of a model names.
 *   hf://OWNER/NAME[:REVISION][/FILE]   a repository of the hub, or one file of it
 *   https://HOST/PATH, http://HOST/PATH one file, or an archive (.tar .tar.gz .tgz .zip) to unpack
 *   file:///PATH                        a file or folder of this machine
 * `#sha256=HEX` behind any of them that is one file says what it must hash to. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>

enum source_kind { SOURCE_HUB, SOURCE_HTTP, SOURCE_FILE };

struct source {
    enum source_kind kind;
    char owner[97], name[97]; /* hub */
    char revision[129];       /* hub: "main" by default */
    char file[513];           /* hub: one file of it, or ""; http: the file's name */
    char url[2049];           /* http: without fragment */
    char path[4097];          /* file */
    char sha256[65];          /* lower case, or "" */
    bool archive;             /* http: to unpack */
};

/* PDK_INVALID says what is wrong with it. */
pdk_status source_parse(const char *uri, struct source *ret_source, pdk_error *err);
/* A name that may be a file below a folder: segments of [A-Za-z0-9._+-], none of them "." or "..". */
bool source_safe_name(const char *name);
