/* The neutral request that serves every protocol, and the parts of its answer. */
#ifndef PADDOCK_DRAFT_REQUEST_H
#define PADDOCK_DRAFT_REQUEST_H

#include <paddock/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PDK_KIND_GENERATE = 1,
    PDK_KIND_TOKENIZE = 2,
    PDK_KIND_DETOKENIZE = 3,
    PDK_KIND_INFER = 4,
    PDK_KIND_EMBED = 5,
    PDK_KIND_SCORE = 6
};

/* Which fields of pdk_sampling were given; the rest come from the model's defaults, then from the field's own. */
enum {
    PDK_HAS_TEMPERATURE = 1u << 0,
    PDK_HAS_TOP_P = 1u << 1,
    PDK_HAS_TOP_K = 1u << 2,
    PDK_HAS_MIN_P = 1u << 3,
    PDK_HAS_REPETITION_PENALTY = 1u << 4,
    PDK_HAS_FREQUENCY_PENALTY = 1u << 5,
    PDK_HAS_PRESENCE_PENALTY = 1u << 6,
    PDK_HAS_SEED = 1u << 7,
    PDK_HAS_MAX_TOKENS = 1u << 8,
    PDK_HAS_MIN_TOKENS = 1u << 9,
    PDK_HAS_LOGPROBS = 1u << 10,
    PDK_HAS_PROMPT_LOGPROBS = 1u << 11,
    PDK_HAS_TRUNCATE_PROMPT = 1u << 12,
    PDK_HAS_ALLOWED_TOKENS = 1u << 13 /* set also for an empty list */
};

/* How tokens are chosen and when to stop, by reference semantics of vLLM's SamplingParams. */
typedef struct pdk_sampling {
    uint32_t size;
    uint32_t has;              /* PDK_HAS_… */
    double temperature;        /* 0 … 2; below 1e-5 greedy; default 1 */
    double top_p;              /* (0, 1]; default 1 */
    double min_p;              /* 0 … 1; default 0 */
    double repetition_penalty; /* > 0; default 1 */
    double frequency_penalty;  /* -2 … 2; default 0 */
    double presence_penalty;   /* -2 … 2; default 0 */
    int64_t seed;
    int64_t truncate_prompt; /* keep so many prompt tokens; -1: max_model_len - 1 */
    int32_t top_k;           /* 0 or -1: off */
    int32_t max_tokens;      /* default: all the room left */
    int32_t min_tokens;      /* default 0 */
    int32_t logprobs;        /* alternatives a generated token; -1: the whole vocabulary */
    int32_t prompt_logprobs; /* the same for prompt tokens */
    uint32_t n;              /* choices, at least 1 */
} pdk_sampling;

enum {
    PDK_FLAG_IGNORE_EOS = 1u << 0,
    PDK_FLAG_INCLUDE_STOP = 1u << 1,         /* keep the stop string in the text */
    PDK_FLAG_KEEP_SPECIAL = 1u << 2,         /* do not skip special tokens in the text */
    PDK_FLAG_NO_SPECIAL_TOKENS = 1u << 3,    /* add no BOS and the like to a text prompt */
    PDK_FLAG_ADD_SPECIAL_TOKENS = 1u << 4,   /* add them to a rendered template too */
    PDK_FLAG_NO_GENERATION_PROMPT = 1u << 5, /* messages: leave out the assistant's opening */
    PDK_FLAG_CONTINUE_FINAL = 1u << 6,       /* messages: leave the last one open */
    PDK_FLAG_ECHO = 1u << 7,                 /* send the prompt's text and ids as a part of their own first */
    PDK_FLAG_PROMPT_IDS = 1u << 8,           /* send the prompt's ids */
    PDK_FLAG_PROMPT_TEXT = 1u << 9,          /* send the rendered prompt's text */
    PDK_FLAG_TRUNCATE_RIGHT = 1u << 10,      /* keep the first tokens, not the last */
    PDK_FLAG_NO_SPACES_BETWEEN = 1u << 11,   /* no space between neighbouring special tokens */
    PDK_FLAG_TOKEN_STRINGS = 1u << 12,       /* tokenize: send the vocabulary's pieces too */
    PDK_FLAG_STREAM = 1u << 13               /* the client reads parts as they come: send each step's */
};

/* One message of a conversation. `json` is the whole object as the client sent it; role and content are its plain parts
 * for a runtime that needs no more (content NULL: none, or not plain text). */
typedef struct pdk_message {
    pdk_string role;
    pdk_string content;
    pdk_string json;
} pdk_message;

typedef struct pdk_bias {
    uint32_t token;
    float value;
} pdk_bias;

/* A request has one prompt: `token_ids`, `text` or `messages`, the first that is there. The host owns it all, until the
 * response is finished. Counts and values have passed the limits of the table in the host, not those of the model. */
typedef struct pdk_request {
    uint32_t size;
    int32_t kind; /* PDK_KIND_… */
    uint64_t id;
    uint64_t tenant;       /* a hash of the API key's tenant; 0: nobody's */
    int64_t deadline_ms;   /* CLOCK_MONOTONIC; 0: none */
    int32_t priority;      /* lower runs first */
    uint32_t flags;        /* PDK_FLAG_… */
    pdk_string adapter;    /* "": none */
    pdk_string cache_salt; /* "": none; part of the prefix cache's key */

    const uint32_t *token_ids;
    size_t token_count;
    pdk_string text; /* data NULL: no text prompt */
    const pdk_message *messages;
    size_t message_count;
    pdk_string tools_json;         /* an array, or "" */
    pdk_string documents_json;     /* an array, or "" */
    pdk_string template_vars_json; /* an object of further template variables, or "" */

    pdk_sampling sampling;
    const pdk_string *stop;
    size_t stop_count;
    const uint32_t *stop_token_ids;
    size_t stop_token_count;
    const pdk_bias *biases;
    size_t bias_count;
    const uint32_t *allowed_token_ids;
    size_t allowed_token_count;
    const pdk_string *bad_words;
    size_t bad_word_count;
    const uint32_t *logprob_token_ids; /* report these as well */
    size_t logprob_token_count;

    const uint32_t *produced_ids; /* tokens that an earlier replica has sent; generation goes on after them */
    size_t produced_count;
} pdk_request;

/* One alternative at one position. */
typedef struct pdk_logprob {
    uint32_t token;
    int32_t rank;  /* 1 is the likeliest */
    float logprob; /* natural logarithm, or the raw logit by --logprobs-mode */
    uint32_t reserved;
    pdk_string text; /* decoded; "" while a character is incomplete */
} pdk_logprob;

enum {
    PDK_FINISH_NONE = 0,
    PDK_FINISH_STOP = 1,
    PDK_FINISH_LENGTH = 2,
    PDK_FINISH_ABORT = 3,
    PDK_FINISH_REPETITION = 4
};
enum { PDK_STOP_NONE = 0, PDK_STOP_TOKEN = 1, PDK_STOP_STRING = 2 };

enum {
    PDK_PART_PROMPT = 1u << 0 /* ids, text and logprobs are the prompt's; sent once, before any other part */
};

/* A piece of an answer. Everything is borrowed for the call. */
typedef struct pdk_part {
    uint32_t size;
    uint32_t flags;    /* PDK_PART_… */
    uint32_t choice;   /* 0 … n-1 */
    int32_t finish;    /* PDK_FINISH_…: the last part of this choice */
    int32_t stop_kind; /* PDK_STOP_…: what ended it */
    uint32_t stop_token;
    pdk_string stop_string;

    const uint32_t *token_ids;
    size_t token_count;
    pdk_string text;

    /* Alternatives of each of `position_count` positions, one after the other; position i has logprob_counts[i]
     * entries, the chosen token first. A count of 0: none known (the first token of a prompt). */
    const pdk_logprob *logprobs;
    const uint32_t *logprob_counts;
    size_t position_count;
    size_t logprob_count; /* sum of logprob_counts */

    const pdk_string *pieces; /* tokenize with PDK_FLAG_TOKEN_STRINGS */
    size_t piece_count;

    uint32_t prompt_tokens;     /* so far known; counts are cumulative */
    uint32_t cached_tokens;     /* of them taken from the prefix cache */
    uint32_t completion_tokens; /* of this choice, end and stop tokens included */
    uint32_t reserved;
} pdk_part;

typedef struct pdk_response pdk_response; /* the host's; see pdk_host.part_send and finish */

#ifdef __cplusplus
}
#endif
#endif
