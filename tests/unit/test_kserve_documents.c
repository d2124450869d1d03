/* KServe's own examples, runtimes and schemas against ours: each document is accepted, or refused for the field named
 * here; and every field of KServe's schemas that a document may hold is known to the table. Skipped where the
 * references are not. */
#include "config.h"

#include "core/spec/plan.h"

#include "core/base/file.h"

#include "check_main.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char references[2048];

/* $PADDOCK_REFERENCES, else beside the fixtures. */
static bool have_references(void)
{
    const char *given = getenv("PADDOCK_REFERENCES"), *fixtures = getenv("PADDOCK_FIXTURES");
    if (given != NULL)
        snprintf(references, sizeof references, "%s/kubernetes", given);
    else
        snprintf(references, sizeof references, "%s/../reference/kubernetes", fixtures != NULL ? fixtures : ".");
    return access(references, R_OK) == 0;
}

/* Files that are refused, and what the message names. All others are accepted. */
static const struct {
    const char *file, *named;
} refused[] = {
    {"12-canary-10.yaml", "spec.predictor.canaryTrafficPercent"},
    {"16-keda-prometheus.yaml", ""}, /* accepted: what is inside autoScaling has no effect and is not looked at */
    {"17-custom-container.yaml", "spec.predictor.containers"},
    {"18-transformer.yaml", "spec.transformer"},
    {"19-explainer-art.yaml", "spec.explainer"},
    {"20-explainer-alibi-old.yaml", "spec.explainer"},
    {"23-multi-node.yaml", "spec.predictor.workerSpec"},
    {"24-storage-spec-s3.yaml", "storage"},
    {"25-storage-uris-many.yaml", "storageUris"},
    {"29-raw-rollout-strategy.yaml", "spec.predictor.deploymentStrategy"},
    {"30-graph-sequence.yaml", "InferenceGraph is not supported"},
    {"31-graph-switch.yaml", "spec.predictor.containers"},
    {"32-graph-splitter.yaml", "InferenceGraph is not supported"},
    {"33-trainedmodel.yaml", "TrainedModel is not supported"},
    {"34-trainedmodel-parent.yaml", "the 'name' field is not allowed in standard predictor"},
    {"35-llmisvc-cpu-no-scheduler.yaml", "LLMInferenceService is not supported"},
    {"36-llmisvc-prefill-decode.yaml", "LLMInferenceService is not supported"},
    {"37-llmisvc-lora.yaml", "LLMInferenceService is not supported"},
    {"38-llmisvc-config-composition.yaml", "LLMInferenceServiceConfig is not supported"},
    {"39-localmodelcache.yaml", "LocalModelCache is not supported"},
    {"40-isvc-v1alpha2-old.yaml", "no matches for kind \"InferenceService\" in version"},
};

static const char *expected_refusal(const char *file)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(refused[i].file, file) == 0)
            return refused[i].named;
    return "";
}

static size_t check_folder(const char *name)
{
    char folder[4096], path[8192];
    snprintf(folder, sizeof folder, "%s/%s", references, name);
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strstr(entry->d_name, ".yaml") == NULL)
            continue;
        struct resource_set set = {0};
        pdk_error err = {0};
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        pdk_status status = resource_set_read_file(&set, path, 0, &err);
        const char *named = expected_refusal(entry->d_name);
        if (named[0] == '\0')
            ck_assert_msg(status == PDK_OK, "%s: %s", entry->d_name, err.message);
        else
            ck_assert_msg(status != PDK_OK && strstr(err.message, named) != NULL, "%s: %s", entry->d_name, err.message);
        resource_set_done(&set);
        count++;
    }
    closedir(entries);
    return count;
}

START_TEST(examples_and_runtimes)
{
    ck_assert_uint_ge(check_folder("examples"), 40);
    ck_assert_uint_ge(check_folder("runtimes"), 15);
}
END_TEST

/* ---- the schemas themselves */

static const struct json *resolved(const struct json *definitions, const struct json *schema)
{
    const char *reference;
    while (json_string(json_get(schema, "$ref"), &reference))
        schema = json_get(definitions, strrchr(reference, '/') + 1);
    return schema;
}

static void compare(
    const struct json *definitions, const struct json *schema, const struct schema_object *object, const char *path)
{
    const struct json *properties = json_get(resolved(definitions, schema), "properties");
    for (const struct json *at = properties != NULL ? properties->child : NULL; at != NULL; at = at->next) {
        char below[512];
        snprintf(below, sizeof below, "%s.%s", path, at->key);
        const struct schema_field *field = schema_field(object, at->key, at->key_length);
        ck_assert_msg(field != NULL, "%s is no field of the table", below);
        const struct json *inner = resolved(definitions, at);
        const struct json *items = json_get(inner, "items");
        if (field->type == FIELD_OBJECT && strcmp(at->key, "metadata") != 0)
            compare(definitions, inner, field->object, below);
        else if (field->type == FIELD_LIST)
            compare(definitions, items, field->object, below);
    }
}

START_TEST(every_field_of_kserve_is_known)
{
    for (int i = 0; i < RESOURCE_KINDS; i++) {
        const struct schema_kind *kind = schema_kind_at((enum resource_kind)i);
        char path[4096];
        struct buffer text = {0};
        struct json_document *tree = NULL;
        snprintf(path, sizeof path, "%s/crds/%s.json", references, kind->kind);
        ck_assert_int_eq(file_read(path, 16u << 20, &text, NULL), PDK_OK);
        ck_assert_int_eq(json_read(text.data, text.length, &json_limits_default, &tree, NULL), PDK_OK);
        const struct json *versions = json_get(json_root(tree), "versions");
        compare(json_get(json_root(tree), "$defs"), json_get(versions->child, "schema"), kind->object, kind->kind);
        json_document_free(tree);
        buffer_done(&text);
    }
}
END_TEST

int main(void)
{
    if (!have_references()) {
        fprintf(stderr, "skipped: no KServe documents in %s\n", references);
        return 77;
    }
    Suite *suite = suite_create("kserve_documents");
    TCase *tests = tcase_create("kserve_documents");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, examples_and_runtimes);
    tcase_add_test(tests, every_field_of_kserve_is_known);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
