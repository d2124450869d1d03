/* runtimes/huggingface/load.h: from a model's files to a running engine. */
#pragma once

#include "runtimes/huggingface/front/front.h"
#include "runtimes/huggingface/model/model.h"
#include "runtimes/huggingface/modules.h"
#include "runtimes/huggingface/settings.h"

#include <paddock/compute.h>

/* All that a loaded model is. Parts are freed in reverse order of their making. */
struct loaded {
    struct settings settings;
    struct model *model;
    struct tokenizer *tokenizer;
    struct template *template;
    struct pooling pooling; /* where the model gives values */
    uint32_t text_length;   /* tokens that sentence-transformers' files allow; 0: as many as the model */
    struct buffer template_text;
    bool auto_tools; /* calls are looked for where a request does not force them */
    struct buffer tokenizer_info;
    struct guide_vocabulary *guide_vocabulary;
    struct token_list think_start, think_end; /* the marks of reasoning */
    struct served served;
    struct front *front;
    uint32_t eos_ids[MODEL_EOS_MAX + 1]; /* "the" end of sequence first */
    uint32_t eos_count;
    int32_t kv_type;
    uint32_t blocks, max_outputs;
    uint64_t kv_bytes, activation_bytes;
    char fingerprint[9];
};

/* `loaded` is zeroed before; loaded_done frees it, after a failure too. Borrows `host`. [main-thread] */
pdk_status load_all(struct loaded *loaded, const pdk_host *host, const pdk_model_spec *spec, pdk_error *err);
void loaded_done(struct loaded *loaded);

/* load_text.c: the tokenizer and the chat template, where there are any. */
pdk_status load_tokenizer(struct loaded *loaded, const pdk_host *host, pdk_error *err);
pdk_status load_template(struct loaded *loaded, const pdk_host *host, pdk_error *err);
/* load_pooling.c: what a model that is run for values does with hidden states, by its files and the arguments. */
pdk_status load_pooling(struct loaded *loaded, const pdk_host *host, pdk_error *err);
void pooling_done(struct loaded *loaded);
/* load_parsers.c: how calls and reasoning are read out of answers; after load_template, whose text says it where no
 * argument does. */
pdk_status load_parsers(struct loaded *loaded, const pdk_host *host, pdk_error *err);
/* load_info.c: what GET /tokenizer_info shows, as JSON. PDK_OK with nothing where there is no tokenizer. */
pdk_status load_info(struct loaded *loaded, pdk_error *err);
/* load_sizes.c: how long a sequence may be, how many blocks the cache has, and the room for it all on the backend. */
pdk_status load_sizes(struct loaded *loaded, const pdk_host *host, pdk_error *err);

/* One line to the replica's log. */
void load_log(const pdk_host *host, int32_t level, const char *format, ...) PDK_PRINTF(3, 4);
