/* Loading and describing a model. */
#ifndef PADDOCK_DRAFT_MODEL_H
#define PADDOCK_DRAFT_MODEL_H

#include <paddock/abi.h>
#include <paddock/draft/request.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_EXT_MODEL "paddock.model/1"

/* What to load. Borrowed for the call. */
typedef struct pdk_model_spec {
    uint32_t size;
    uint32_t argument_count;
    uint32_t environment_count; /* of strings "NAME=value" */
    uint32_t reserved;
    const char *name;               /* the service's name: the served name unless an argument says otherwise */
    const char *path;               /* absolute path of the model's file or folder */
    const char *const *arguments;   /* "--max-model-len=512", …; the last one of a name wins */
    const char *const *environment; /* what the document sets, nothing of the daemon's */
} pdk_model_spec;

/* What a service's arguments say of the form of its answers; for the host's protocols. */
enum {
    PDK_API_PROMPT_DETAILS = 1u << 0,   /* usage tells the cached prompt tokens */
    PDK_API_FORCE_USAGE = 1u << 1,      /* streams carry usage whether asked for or not */
    PDK_API_TOKENS_AS_IDS = 1u << 2,    /* log probabilities name tokens by id where the request does not say */
    PDK_API_REQUEST_TEMPLATE = 1u << 3, /* requests may bring a chat template */
    PDK_API_TOKENIZER_INFO = 1u << 4,   /* PDK_KIND_TOKENIZER_INFO may be asked for */
    PDK_API_STORE = 1u << 5,            /* the host may keep answers for requests that go on from them */
    PDK_API_REQUEST_METRICS = 1u << 6   /* answers tell how long they took */
};
enum { PDK_FINGERPRINT_FULL = 0, PDK_FINGERPRINT_HASH = 1, PDK_FINGERPRINT_CUSTOM = 2, PDK_FINGERPRINT_NONE = 3 };

/* What was loaded. Strings and arrays live until `unload`. */
typedef struct pdk_model_info {
    uint32_t size;
    uint32_t vocabulary_size; /* 0: none */
    uint32_t max_model_len;   /* tokens of prompt and answer together; 0: no such limit */
    uint32_t max_logprobs;    /* 0xffffffff: the whole vocabulary */
    uint32_t served_name_count;
    uint32_t eos_id_count;
    int32_t has_tokenizer;           /* text prompts work */
    int32_t has_template;            /* messages work */
    const char *const *served_names; /* the first is shown in answers */
    const char *root;                /* the model's id or path as clients see it */
    const uint32_t *eos_ids;         /* "the" end of sequence first */
    pdk_sampling defaults;           /* what generation_config.json sets; its has-bits tell which */
    uint64_t memory_bytes;           /* held now: weights, caches, buffers */
    const char *fingerprint;         /* 8 hex digits that change with the model's content or settings */
    int32_t pooling_only;            /* PDK_KIND_GENERATE does not work, though the runtime has its table */
    int32_t auto_tools;              /* PDK_TOOLS_AUTO works: there is a parser for the model's calls */
    int32_t forced_tools;            /* PDK_TOOLS_REQUIRED and NAMED work */
    int32_t parses_reasoning;        /* answers carry reasoning apart */
    uint32_t pooling_tasks;          /* bit t: PDK_POOL_… t works; 0: PDK_KIND_POOL does not */
    int32_t scores_pairs_by_cosine;  /* PDK_POOL_SCORE is embeddings' cosine, else a cross-encoder's value */
    uint32_t pooled_size;            /* of an embedding */
    uint32_t class_count;
    const char *const *class_labels; /* [class_count], or NULL: they have none */
    uint32_t dimension_count;        /* allowed values of `dimensions`; 0: any, if matryoshka */
    uint32_t api_flags;              /* PDK_API_… */
    int32_t fingerprint_mode;        /* PDK_FINGERPRINT_… */
    const char *fingerprint_text;    /* of PDK_FINGERPRINT_CUSTOM */
    const char *response_role;       /* of an assistant's messages; NULL: "assistant" */
    double keep_alive_s;             /* a comment in a stream that is silent for so long; 0: none */
    int32_t matryoshka;              /* `dimensions` may be asked for */
    const uint32_t *dimensions;
} pdk_model_info;

typedef struct pdk_model {
    uint32_t size;
    uint32_t reserved;
    /* Reads the model, telling progress through the host. Called once. [main-thread] */
    pdk_status (*load)(void *self, const pdk_model_spec *spec, pdk_error *err);
    /* Fills `ret_info`, whose `size` the caller set. After `load`. [any-thread] */
    pdk_status (*describe)(void *self, pdk_model_info *ret_info, pdk_error *err);
    /* Frees the model. Every response has been finished. [main-thread] */
    void (*unload)(void *self);
} pdk_model;

#ifdef __cplusplus
}
#endif
#endif
