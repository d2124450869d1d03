/* runtimes/huggingface/modules.h: what sentence-transformers' files beside a model say: modules.json, the pooling's and
 * the dense layers' own, and how texts are cut and lower-cased. */
#pragma once

#include "runtimes/huggingface/engine/pooled.h"
#include "runtimes/huggingface/model/value_head.h"

struct modules {
    bool found;          /* there is a modules.json; else it is all defaults but for what texts become */
    bool pools;          /* `rows` is said */
    enum pool_rows rows; /* of one vector for a text */
    bool normalises;
    struct value_head projection; /* dense layers behind the pooling, in order */
    uint32_t max_length;          /* tokens of a text; 0: as the model */
    bool lowercase;
};

/* Of the files in `folder`, for hidden states of `columns` numbers. `ret_modules` is zeroed before; modules_done frees
 * it, after a failure too. PDK_UNSUPPORTED names a module or a kind of pooling that is not known. */
pdk_status modules_read(const char *folder, uint32_t columns, struct modules *ret_modules, pdk_error *err);
void modules_done(struct modules *modules);
/* Whether `folder` has a modules.json. */
bool modules_exist(const char *folder);
