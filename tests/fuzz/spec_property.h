/* tests/fuzz/spec_property.h: what holds for documents of any syntax: what is refused says why and leaves the set as it
 * was; what is accepted prints as JSON that is accepted again and prints the same; each service comes to a plan or a
 * reason. */
#pragma once

#include "core/spec/plan.h"

#include <assert.h>
#include <string.h>

static inline void check_plans(const struct resource_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].kind->resource != RESOURCE_INFERENCE_SERVICE)
            continue;
        struct plan *plan = NULL;
        const char *reason = NULL;
        pdk_error err = {0};
        pdk_status status = plan_new(set, &set->items[i], NULL, &plan, &reason, &err);
        assert(status == PDK_OK ? plan != NULL && plan->plugin != NULL
                                : plan == NULL && reason != NULL && err.status == status);
        plan_free(plan);
    }
}

static inline void check_again(const struct resource *resource)
{
    struct resource_set again = {0};
    struct buffer once = {0}, twice = {0};
    json_print(&once, resource->root);
    pdk_status status = resource_set_read_text(&again, "again", SYNTAX_JSON, once.data, once.length, 0, NULL);
    assert(once.length > RESOURCE_FILE_BYTES || status == PDK_OK);
    if (status == PDK_OK) {
        json_print(&twice, again.items[0].root);
        assert(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
    }
    buffer_done(&once);
    buffer_done(&twice);
    resource_set_done(&again);
}

static inline void check_documents(enum resource_syntax syntax, const uint8_t *data, size_t size)
{
    static const char runtime[] =
        "apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime\nmetadata: {name: r}\nspec:\n"
        "  supportedModelFormats: [{name: huggingface, autoSelect: true}]\n"
        "  containers: [{name: kserve-container, image: paddock/huggingface, args: ['--model_name={{.Name}}']}]\n";
    struct resource_set set = {0};
    pdk_error err = {0};
    pdk_status status = resource_set_read_text(&set, "runtime", SYNTAX_YAML, runtime, sizeof runtime - 1, 0, &err);
    assert(status == PDK_OK);
    status = resource_set_read_text(&set, "fuzz", syntax, (const char *)data, size, 1, &err);
    if (status != PDK_OK)
        assert(set.count == 1 && err.status == status && strncmp(err.message, "fuzz", 4) == 0);
    for (size_t i = 1; i < set.count; i++)
        check_again(&set.items[i]);
    check_plans(&set);
    resource_set_done(&set);
}
