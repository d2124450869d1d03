/* The arguments that a runtime takes. */
#ifndef PADDOCK_DRAFT_OPTIONS_H
#define PADDOCK_DRAFT_OPTIONS_H

#include <paddock/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDK_EXT_OPTIONS "paddock.options/1"

enum {
    PDK_OPTION_FLAG = 0,    /* --name, --no-name, --name=true */
    PDK_OPTION_INTEGER = 1, /* with suffixes k m g (1000s) and K M G (1024s) */
    PDK_OPTION_NUMBER = 2,
    PDK_OPTION_TEXT = 3,
    PDK_OPTION_CHOICE = 4, /* one of `choices` */
    PDK_OPTION_LIST = 5    /* one or more words */
};

enum {
    PDK_OPTION_USED = 0,   /* does what its line says */
    PDK_OPTION_NOTED = 1,  /* accepted without effect; the log says so by name */
    PDK_OPTION_REFUSED = 2 /* the service does not start; `note` says why */
};

/* One argument, `--name VALUE` or `--name=VALUE`; '-' and '_' in names are the same. All texts are static. */
typedef struct pdk_option {
    const char *name;         /* without dashes: "max-model-len" */
    const char *doc;          /* one line */
    const char *default_text; /* as a person would write it, or NULL: chosen at load */
    const char *choices;      /* "auto|float32|bfloat16", or NULL */
    const char *note;         /* for NOTED and REFUSED: the reason, or NULL. For REFUSED, `default_text` is accepted */
    double minimum, maximum;  /* of INTEGER and NUMBER, inclusive */
    int32_t type;             /* PDK_OPTION_FLAG … */
    int32_t action;           /* PDK_OPTION_USED … */
} pdk_option;

typedef struct pdk_options {
    uint32_t size;
    uint32_t option_size; /* sizeof(pdk_option) as the plugin was built: the stride of the array */
    const pdk_option *options;
    size_t count;
} pdk_options;

#ifdef __cplusplus
}
#endif
#endif
