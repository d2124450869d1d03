/* core/spec/plan.h: what a service comes down to once its runtime is chosen and merged: a plugin, its arguments, its
 * environment, its resources, and where its model is said to be. Pure: nothing here looks at the machine. */
#pragma once

#include "core/spec/select.h"

/* Annotation of a runtime: what its plugin takes as a model. "huggingface": a folder with config.json and safetensors,
 * or one GGUF; absent: anything, or nothing. */
#define LAYOUT_ANNOTATION "paddock/model-layout"

enum { PLAN_ARGUMENTS_MAX = 512, PLAN_ENVIRONMENT_MAX = 512 };

struct text_list {
    char **items;
    size_t count, room;
};

struct plan {
    const struct resource *service, *runtime; /* of the set */
    char *plugin;                             /* "huggingface": huggingface.so */
    char *image;                              /* as the merged container shows it */
    char *protocol;                           /* "v1", "v2" */
    char *model_name;                         /* --model_name or --served-model-name, else the service's name */
    char *model_id;    /* --model_id, or --model where it is no path under /mnt/models; NULL: none */
    char *storage_uri; /* NULL: none */
    char *layout;      /* see LAYOUT_ANNOTATION; NULL: none */
    struct text_list arguments;
    struct text_list environment;          /* "NAME=value" */
    uint64_t cpu_request, cpu_limit;       /* thousandths; 0: absent */
    uint64_t memory_request, memory_limit; /* bytes; 0: absent */
};

/* Gives `ret_plan`. On failure `ret_reason` is KServe's reason (select.h) and the error says which field. Warnings
 * about what has no effect go to `warnings`, a line each; it may be NULL. */
pdk_status plan_new(const struct resource_set *set, const struct resource *service, struct buffer *warnings,
    struct plan **ret_plan, const char **ret_reason, pdk_error *err);
struct plan *plan_free(struct plan *plan); /* takes NULL, returns NULL */
void plan_freep(struct plan **plan);

/* The value of the last `--name VALUE` or `--name=VALUE`, '-' and '_' being the same; NULL: none. */
const char *text_list_argument(const struct text_list *arguments, const char *name);
bool text_list_add(struct text_list *list, const char *text); /* a copy; false: out of memory */
void text_list_done(struct text_list *list);
