/* Generating text, and turning text into tokens and back. */
#ifndef PADDOCK_DRAFT_GENERATE_H
#define PADDOCK_DRAFT_GENERATE_H

#include <paddock/draft/request.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_EXT_GENERATE "paddock.generate/1"

typedef struct pdk_generate {
    uint32_t size; /* sizeof(pdk_generate) as the plugin was built; see PDK_HAS */
    uint32_t reserved;

    /* Starts generating for `request` (PDK_KIND_GENERATE) and returns at once. The parts go out through `response`,
     * from any thread of the plugin, and the response is finished exactly once, also after an error. `request` is
     * borrowed until the response is finished. On failure nothing was taken and `response` stays the host's. PDK_BUSY:
     * the queue is full; the host answers 429. PDK_INVALID: the error's field is the client's. [main-thread] */
    pdk_status (*submit)(void *self, const pdk_request *request, pdk_response *response, pdk_error *err);

    /* Asks that the request end early. Honoured within one step; a late or second call does nothing. [main-thread] */
    void (*cancel)(void *self, uint64_t request_id);

    /* The response of `request_id` takes parts again after a PDK_FULL (which means: that part was taken, send no more).
     * [main-thread] */
    void (*writable)(void *self, uint64_t request_id);
} pdk_generate;

#define PDK_EXT_TOKENIZE "paddock.tokenize/1"

typedef struct pdk_tokenize {
    uint32_t size;
    uint32_t reserved;
    /* Answers PDK_KIND_TOKENIZE (text or messages; one part with token_ids, and pieces where asked),
     * PDK_KIND_DETOKENIZE (token_ids; one part with text) and PDK_KIND_TOKENIZER_INFO (one part with text). Otherwise
     * as pdk_generate.submit. [main-thread] */
    pdk_status (*submit)(void *self, const pdk_request *request, pdk_response *response, pdk_error *err);
} pdk_tokenize;

#define PDK_EXT_POOL "paddock.pool/1"

typedef struct pdk_pool {
    uint32_t size;
    uint32_t reserved;
    /* Answers PDK_KIND_POOL with one part of values. Otherwise as pdk_generate.submit; cancel and writable are those of
     * the generate table where there is one. [main-thread] */
    pdk_status (*submit)(void *self, const pdk_request *request, pdk_response *response, pdk_error *err);
    void (*cancel)(void *self, uint64_t request_id); /* [main-thread] */
} pdk_pool;

#ifdef __cplusplus
}
#endif
#endif
