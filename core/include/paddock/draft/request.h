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
    PDK_KIND_TOKENIZER_INFO = 6, /* the tokenizer's configuration as JSON, as a part's text */
    PDK_KIND_POOL = 5            /* one vector, or one a token, out of a prompt or a pair of them: pdk_pooling */
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
    PDK_HAS_ALLOWED_TOKENS = 1u << 13, /* set also for an empty list */
    PDK_HAS_THINKING_BUDGET = 1u << 14
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
    uint32_t n;              /* choices, at least 1; the width of a beam search */
    int32_t thinking_budget; /* tokens of reasoning before its end is forced; -1: no limit */
    /* Ends a choice whose tail repeats a pattern of so many tokens so many times; max 0: off. */
    uint32_t repetition_min_pattern, repetition_max_pattern, repetition_min_count;
    double length_penalty;    /* of a beam search; default 1 */
    uint32_t stream_interval; /* tokens of a streamed part at least; 0: the model's */
    uint32_t reserved;
} pdk_sampling;

/* What generated text has to be. The runtime builds a token mask for each step out of it. */
enum {
    PDK_GUIDE_NONE = 0,
    PDK_GUIDE_JSON_SCHEMA = 1,   /* `text`: the schema */
    PDK_GUIDE_JSON_OBJECT = 2,   /* any JSON object; no text */
    PDK_GUIDE_REGEX = 3,         /* `text`: it matches from beginning to end */
    PDK_GUIDE_CHOICE = 4,        /* `text`: a JSON array of strings, one of which it is */
    PDK_GUIDE_GRAMMAR = 5,       /* `text`: EBNF (GBNF's notation) or Lark's */
    PDK_GUIDE_STRUCTURAL_TAG = 6 /* `text`: the response_format's object */
};
enum {
    PDK_GUIDE_NO_WHITESPACE = 1u << 0, /* none between JSON's tokens but where `whitespace` says */
    PDK_GUIDE_CLOSED_OBJECTS = 1u << 1 /* additionalProperties is false where a schema does not say */
};
typedef struct pdk_guide {
    int32_t kind;   /* PDK_GUIDE_… */
    uint32_t flags; /* PDK_GUIDE_… */
    pdk_string text;
    pdk_string whitespace; /* a regex of what may stand between JSON's tokens, or "" */
} pdk_guide;

/* Whether text is read for tool calls. The tools themselves are in tools_json. */
enum {
    PDK_TOOLS_NONE = 0,     /* text only */
    PDK_TOOLS_AUTO = 1,     /* calls where the model makes them */
    PDK_TOOLS_REQUIRED = 2, /* one at least */
    PDK_TOOLS_NAMED = 3     /* the arguments of tool_name */
};

enum {
    PDK_POOL_DEFAULT = 0, /* what the model is for */
    PDK_POOL_EMBED = 1,
    PDK_POOL_CLASSIFY = 2, /* one value a class */
    PDK_POOL_SCORE = 3,    /* a pair's relevance: text and pair_text */
    PDK_POOL_TOKEN_EMBED = 4,
    PDK_POOL_TOKEN_CLASSIFY = 5
};
typedef struct pdk_pooling {
    int32_t task;                               /* PDK_POOL_… */
    int32_t use_activation;                     /* normalise, softmax, sigmoid: -1 as the model says, 0 no, 1 yes */
    uint32_t dimensions;                        /* 0: all */
    uint32_t max_query_tokens, max_pair_tokens; /* of the pair's halves; 0: no such limit */
} pdk_pooling;

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
    PDK_FLAG_STREAM = 1u << 13,              /* the client reads parts as they come: send each step's */
    PDK_FLAG_NO_REASONING = 1u << 14,        /* leave reasoning out of the answer, with its ids and logprobs */
    PDK_FLAG_ONE_TOOL_CALL = 1u << 15,       /* the first call only */
    PDK_FLAG_BEAM_SEARCH = 1u << 16,         /* n beams; the n best come, best first */
    PDK_FLAG_TOOLS_UNSEEN = 1u << 17         /* the template does not get the tools */
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
    pdk_string template_text;      /* in the model's place, or "" */
    pdk_string tool_name;          /* with PDK_TOOLS_NAMED */
    int32_t tools;                 /* PDK_TOOLS_… */
    int32_t reserved;
    pdk_guide guide;

    pdk_string pair_text; /* the second half of a pair; data NULL: there is none. Of ids: pair_ids */
    const uint32_t *pair_ids;
    size_t pair_count;
    pdk_pooling pooling;

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
    PDK_PART_PROMPT = 1u << 0, /* ids, text and logprobs are the prompt's; sent once, before any other part */
    PDK_PART_PARSED = 1u << 1, /* what the client sees of the text is `deltas`: reasoning and tools were looked for */
    PDK_PART_CALLED = 1u << 2  /* with a finish: this choice made tool calls */
};

/* What a stretch of parsed text is. */
enum {
    PDK_DELTA_CONTENT = 0,
    PDK_DELTA_REASONING = 1,
    PDK_DELTA_CALL = 2,     /* a call begins; `text` is its name */
    PDK_DELTA_ARGUMENTS = 3 /* further text of the call's arguments */
};
typedef struct pdk_delta {
    int32_t kind;  /* PDK_DELTA_… */
    uint32_t call; /* of CALL and ARGUMENTS: 0, 1, … in this choice */
    pdk_string text;
    pdk_string call_id; /* of CALL: one that the model's format asks for, or "" */
} pdk_delta;

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

    const pdk_delta *deltas;
    size_t delta_count;

    const float *values; /* PDK_KIND_POOL: [value_rows][value_columns], one row but for tasks by token */
    uint32_t value_rows, value_columns;

    uint32_t prompt_tokens;     /* so far known; counts are cumulative */
    uint32_t cached_tokens;     /* of them taken from the prefix cache */
    uint32_t completion_tokens; /* of this choice, end and stop tokens included */
    uint32_t reasoning_tokens;  /* of these, between the marks of reasoning */

    /* Of a choice's last part: microseconds that the request waited, then computed until its first token, and from
     * there until its last. All 0: not measured. */
    uint64_t queued_us, first_token_us, generated_us;
} pdk_part;

typedef struct pdk_response pdk_response; /* the host's; see pdk_host.part_send and finish */

#ifdef __cplusplus
}
#endif
#endif
