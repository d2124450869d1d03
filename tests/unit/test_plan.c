/* core/spec/select.c, plan.c, image.c, placeholder.c: which runtime, and what a service comes down to. */
#include "config.h"

#include "core/spec/plan.h"

#include "core/spec/image.h"
#include "core/spec/placeholder.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

/* The shipped runtimes, as the build tree has them. */
static void read_shipped(struct resource_set *set)
{
    char folder[1024];
    pdk_error err = {0};
    const char *top = getenv("top_srcdir");
    snprintf(folder, sizeof folder, "%s/etc/runtimes.d", top != NULL ? top : ".");
    ck_assert_msg(resource_set_read_folder(set, folder, 0, &err) == PDK_OK, "%s", err.message);
    ck_assert_uint_ge(set->count, 2);
}

static void read_yaml(struct resource_set *set, const char *text, unsigned layer)
{
    pdk_error err = {0};
    ck_assert_msg(
        resource_set_read_text(set, "f", SYNTAX_YAML, text, strlen(text), layer, &err) == PDK_OK, "%s", err.message);
}

/* A service `a` with this model. */
static const struct resource *read_service(struct resource_set *set, const char *model)
{
    char text[2048];
    snprintf(text, sizeof text,
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
        "metadata: {name: a, labels: {team: red}}\nspec: {predictor: {model: {%s}}}\n",
        model);
    read_yaml(set, text, 1);
    return resource_find(set, RESOURCE_INFERENCE_SERVICE, "default", "a");
}

static const struct {
    const char *model;
    const char *runtime; /* NULL: none is chosen */
    const char *reason, *message;
} selections[] = {
    {"modelFormat: {name: huggingface}", "kserve-huggingfaceserver", NULL, NULL},
    {"modelFormat: {name: huggingface, version: '1'}", "kserve-huggingfaceserver", NULL, NULL},
    {"modelFormat: {name: huggingface}, protocolVersion: v2", "kserve-huggingfaceserver", NULL, NULL},
    {"modelFormat: {name: vLLM}", "kserve-vllmserver", NULL, NULL},
    {"modelFormat: {name: huggingface}, runtime: kserve-huggingfaceserver", "kserve-huggingfaceserver", NULL, NULL},
    {"modelFormat: {name: vllm}", NULL, REASON_NO_SUPPORT,
        "No runtime found to support specified framework/version; did you mean 'vLLM'?"},
    {"modelFormat: {name: huggingface, version: '2'}", NULL, REASON_NO_SUPPORT,
        "No runtime found to support specified framework/version"},
    {"modelFormat: {name: huggingface}, protocolVersion: grpc-v2", NULL, REASON_NO_SUPPORT,
        "No runtime found to support specified framework/version"},
    {"modelFormat: {name: huggingface}, runtime: kserve-huggingfaceservr", NULL, REASON_NO_RUNTIME,
        "Waiting for runtime to become available (runtimes here: kserve-huggingfaceserver, kserve-vllmserver; did you "
        "mean "
        "'kserve-huggingfaceserver'?)"},
    {"modelFormat: {name: huggingface}, runtime: kserve-huggingfaceserver, protocolVersion: grpc-v2", NULL,
        REASON_NO_SUPPORT, "Specified runtime does not support specified protocol version"},
    {"modelFormat: {name: huggingface}, runtime: kserve-vllmserver", NULL, REASON_NO_SUPPORT,
        "Specified runtime does not support specified framework/version"},
};

START_TEST(selects_as_kserve_does)
{
    struct resource_set set = {0};
    read_shipped(&set);
    const struct resource *service = read_service(&set, selections[_i].model), *runtime = NULL;
    const char *reason = NULL;
    pdk_error err = {0};
    pdk_status status = runtime_select(&set, service, &runtime, &reason, &err);
    if (selections[_i].runtime != NULL) {
        ck_assert_msg(status == PDK_OK, "%s", err.message);
        ck_assert_str_eq(runtime->name, selections[_i].runtime);
    } else {
        ck_assert_int_ne(status, PDK_OK);
        ck_assert_str_eq(reason, selections[_i].reason);
        ck_assert_str_eq(err.message, selections[_i].message);
    }
    resource_set_done(&set);
}
END_TEST

#define RUNTIME(kind, name, more)                                                                      \
    "---\napiVersion: serving.kserve.io/v1alpha1\nkind: " kind "\nmetadata: {name: " name "}\nspec:\n" \
    "  containers: [{name: kserve-container, image: paddock/" name "}]\n" more

START_TEST(order_among_candidates)
{
    struct resource_set set = {0};
    const struct resource *runtime = NULL;
    const char *reason;
    read_yaml(&set,
        RUNTIME("ClusterServingRuntime", "b",
            "  protocolVersions: [v1]\n  supportedModelFormats: [{name: x, autoSelect: true, priority: 1}]\n")
            RUNTIME("ClusterServingRuntime", "c",
                "  protocolVersions: [v1]\n  supportedModelFormats: [{name: x, autoSelect: true, priority: 2}]\n")
                RUNTIME("ClusterServingRuntime", "d",
                    "  disabled: true\n  supportedModelFormats: [{name: x, autoSelect: true, priority: 9}]\n")
                    RUNTIME("ClusterServingRuntime", "e", "  supportedModelFormats: [{name: x, priority: 9}]\n")
                        RUNTIME("ClusterServingRuntime", "g",
                            "  protocolVersions: [v2]\n  supportedModelFormats: [{name: x, autoSelect: true, priority: "
                            "9}]\n") RUNTIME("ClusterServingRuntime", "h",
                            "  workerSpec: {}\n  supportedModelFormats: [{name: x, autoSelect: true, priority: 9}]\n"),
        0);
    const struct resource *service = read_service(&set, "modelFormat: {name: x}");
    ck_assert_int_eq(runtime_select(&set, service, &runtime, &reason, NULL), PDK_OK);
    ck_assert_str_eq(runtime->name, "c"); /* g has no v1, d is disabled, e is not automatic, h wants workers */
    /* Any runtime of the namespace beats every cluster runtime. */
    read_yaml(&set, RUNTIME("ServingRuntime", "n", "  supportedModelFormats: [{name: x, autoSelect: true}]\n"), 0);
    service = resource_find(&set, RESOURCE_INFERENCE_SERVICE, "default", "a");
    ck_assert_int_eq(runtime_select(&set, service, &runtime, &reason, NULL), PDK_OK);
    ck_assert_str_eq(runtime->name, "n");
    resource_set_done(&set);
}
END_TEST

static struct plan *make_plan(struct resource_set *set, const struct resource *service, struct buffer *warnings)
{
    struct plan *plan = NULL;
    const char *reason = NULL;
    pdk_error err = {0};
    ck_assert_msg(plan_new(set, service, warnings, &plan, &reason, &err) == PDK_OK, "%s: %s", reason, err.message);
    return plan;
}

START_TEST(merges_runtime_and_service)
{
    struct resource_set set = {0};
    struct buffer warnings = {0};
    read_yaml(&set,
        "apiVersion: serving.kserve.io/v1alpha1\nkind: ClusterServingRuntime\nmetadata: {name: r}\nspec:\n"
        "  supportedModelFormats: [{name: x, autoSelect: true}]\n  protocolVersions: [v2, v1]\n"
        "  containers:\n    - name: kserve-container\n      image: paddock/plug\n"
        "      args: ['--model_name={{.Name}}', '--where={{ .Namespace }}', '--fmt={{.Annotations.modelFormat}}', "
        "'--no={{.Labels.none}}']\n"
        "      env: [{name: A, value: runtime}, {name: B, value: kept}]\n"
        "      resources: {requests: {cpu: '1', memory: 1Gi}, limits: {cpu: '2', memory: 2Gi}}\n",
        0);
    const struct resource *service = read_service(&set,
        "modelFormat: {name: x}, args: ['--model_name=mine', '--b=$(B)-$(NONE)-$$(B)', '--team={{.Labels.team}}'],"
        "env: [{name: A, value: service}, {name: C, value: 'c$(A)'}, {name: N, valueFrom: {fieldRef: {fieldPath: "
        "metadata.namespace}}}],"
        "resources: {limits: {cpu: 500m}, requests: {cpu: 250m}}");
    struct plan *plan = make_plan(&set, service, &warnings);
    static const char *const arguments[] = {"--model_name=a", "--where=default", "--fmt=x", "--no=<no value>",
        "--model_name=mine", "--b=kept-$(NONE)-$(B)", "--team=red"};
    ck_assert_uint_eq(plan->arguments.count, 7);
    for (size_t i = 0; i < 7; i++)
        ck_assert_str_eq(plan->arguments.items[i], arguments[i]);
    static const char *const environment[] = {
        "B=kept", "A=service", "C=cservice", "N=default", "INFERENCE_SERVICE_NAME=a"};
    ck_assert_uint_eq(plan->environment.count, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(plan->environment.items[i], environment[i]);
    ck_assert_str_eq(plan->plugin, "plug");
    ck_assert_str_eq(plan->model_name, "mine");
    ck_assert_str_eq(plan->protocol, "v1");
    ck_assert(plan->cpu_request == 250 && plan->cpu_limit == 500);
    ck_assert(plan->memory_request == UINT64_C(1) << 30 && plan->memory_limit == UINT64_C(2) << 30);
    ck_assert_uint_eq(warnings.length, 0);
    plan_free(plan);
    buffer_done(&warnings);
    resource_set_done(&set);
}
END_TEST

START_TEST(the_walkthrough_comes_to_the_huggingface_plugin)
{
    static const char *const files[] = {"opt-125.yaml", "opt-125.conf"};
    struct resource_set set = {0};
    struct buffer warnings = {0};
    char path[1024];
    pdk_error err = {0};
    const char *top = getenv("top_srcdir");
    read_shipped(&set);
    snprintf(path, sizeof path, "%s/etc/examples/%s", top != NULL ? top : ".", files[_i]);
    ck_assert_msg(resource_set_read_file(&set, path, 1, &err) == PDK_OK, "%s", err.message);
    struct plan *plan =
        make_plan(&set, resource_find(&set, RESOURCE_INFERENCE_SERVICE, "default", "opt-125"), &warnings);
    ck_assert_str_eq(plan->plugin, "huggingface");
    ck_assert_str_eq(plan->image, "kserve/huggingfaceserver:v0.15.0");
    ck_assert_str_eq(plan->model_name, "opt-125");
    ck_assert_str_eq(plan->model_id, "facebook/opt-125m");
    ck_assert_str_eq(plan->layout, "huggingface");
    ck_assert_str_eq(plan->environment.items[0], "VLLM_CPU_KVCACHE_SPACE=1");
    ck_assert(plan->cpu_limit == 4000 && plan->memory_limit == UINT64_C(4) << 30);
    ck_assert_uint_eq(set.warnings.length + warnings.length, 0);
    plan_free(plan);
    buffer_done(&warnings);
    resource_set_done(&set);
}
END_TEST

START_TEST(another_image_is_warned_of)
{
    struct resource_set set = {0};
    struct buffer warnings = {0};
    read_shipped(&set);
    struct plan *plan = make_plan(
        &set, read_service(&set, "modelFormat: {name: huggingface}, image: 'example.com:5000/me/x:1'"), &warnings);
    ck_assert_str_eq(plan->plugin, "huggingface");
    ck_assert_str_eq(warnings.data,
        "f: InferenceService a: spec.predictor.model.image: example.com:5000/me/x:1 is not run; the plugin "
        "'huggingface' of runtime kserve-huggingfaceserver serves\n");
    plan_free(plan);
    buffer_done(&warnings);
    resource_set_done(&set);
}
END_TEST

static const struct {
    const char *model, *reason, *message;
} refusals[] = {
    {"modelFormat: {name: huggingface}, args: ['{{.Spec.x}}']", REASON_SPEC,
        "cannot render '{{.Spec.x}}': only {{.Name}}, {{.Namespace}}, {{.Labels.x}} and {{.Annotations.x}} are known"},
    {"modelFormat: {name: huggingface}, env: [{name: HF_TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
        REASON_SPEC, "variable HF_TOKEN wants the Secret 's', and this release keeps none; set its value"},
    {"modelFormat: {name: huggingface}, image: paddock/No_Such", REASON_SPEC,
        "image paddock/No_Such: a plugin's name has 1 to 63 of a-z, 0-9 and '-'"},
    {"modelFormat: {name: huggingface}, resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}", REASON_SPEC,
        "spec.predictor.model.resources.requests.memory is 2Gi, and its limit is 1Gi"},
};

START_TEST(refuses_what_cannot_be_merged)
{
    struct resource_set set = {0};
    struct plan *plan = NULL;
    const char *reason = NULL;
    pdk_error err = {0};
    read_shipped(&set);
    ck_assert_int_ne(plan_new(&set, read_service(&set, refusals[_i].model), NULL, &plan, &reason, &err), PDK_OK);
    ck_assert_ptr_null(plan);
    ck_assert_str_eq(reason, refusals[_i].reason);
    ck_assert_str_eq(err.message, refusals[_i].message);
    resource_set_done(&set);
}
END_TEST

START_TEST(images_by_repository)
{
    static const char list[] = "kserve/huggingfaceserver, vllm/vllm-openai";
    ck_assert(image_listed("kserve/huggingfaceserver", list));
    ck_assert(image_listed("kserve/huggingfaceserver:v0.15.0", list));
    ck_assert(image_listed("docker.io/vllm/vllm-openai@sha256:00", list));
    ck_assert(!image_listed("kserve/huggingface", list));
    ck_assert(!image_listed("x/kserve/huggingfaceserver", list));
    ck_assert(!image_listed("localhost:5000/kserve/huggingfaceserver", list));
    char plugin[PLUGIN_NAME_MAX] = "kept";
    ck_assert_int_eq(image_plugin("paddock/echo:latest", plugin, NULL), PDK_OK);
    ck_assert_str_eq(plugin, "echo");
    ck_assert_int_eq(image_plugin("paddock/../x", plugin, NULL), PDK_INVALID);
    ck_assert_int_eq(image_plugin("paddock/", plugin, NULL), PDK_INVALID);
    ck_assert_str_eq(plugin, "echo");
}
END_TEST

START_TEST(arguments_by_name)
{
    struct text_list list = {0};
    static const char *const words[] = {"--model_name=a", "--x", "1", "--model-name", "b", "--model"};
    for (size_t i = 0; i < 6; i++)
        text_list_add(&list, words[i]);
    ck_assert_str_eq(text_list_argument(&list, "model-name"), "b");
    ck_assert_str_eq(text_list_argument(&list, "x"), "1");
    ck_assert_ptr_null(text_list_argument(&list, "model"));
    text_list_done(&list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    tcase_add_loop_test(tests, selects_as_kserve_does, 0, sizeof selections / sizeof selections[0]);
    tcase_add_test(tests, order_among_candidates);
    tcase_add_test(tests, merges_runtime_and_service);
    tcase_add_loop_test(tests, the_walkthrough_comes_to_the_huggingface_plugin, 0, 2);
    tcase_add_test(tests, another_image_is_warned_of);
    tcase_add_loop_test(tests, refuses_what_cannot_be_merged, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, images_by_repository);
    tcase_add_test(tests, arguments_by_name);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
