/* core/spec/resource.c, schema_check.c, service_rules.c: what is stored, and every way of being refused. */
#include "config.h"

#include "core/spec/resource.h"

#include "check_main.h"

#include <string.h>

#define HEAD    "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: a}\nspec:\n  predictor:\n"
#define RUNTIME "apiVersion: serving.kserve.io/v1alpha1\nkind: ServingRuntime\nmetadata: {name: r}\nspec:\n"

static const struct {
    const char *text;
    const char *message; /* after "f.yaml:"; "" when it is accepted */
} cases[] = {
    {HEAD "    model: {modelFormat: {name: huggingface}}", ""},
    {HEAD "    modle: {modelFormat: {name: huggingface}}",
        "6:12: spec.predictor.modle: unknown field; did you mean 'model'?"},
    {HEAD "    model: {modelFormat: {nmae: x}}",
        "6:33: spec.predictor.model.modelFormat.nmae: unknown field; did you mean 'name'?"},
    {HEAD "    model: {}", "6:12: spec.predictor.model.modelFormat: is missing: format of the model"},
    {HEAD "    model: {modelFormat: {name: 5}}",
        "6:33: spec.predictor.model.modelFormat.name: wants a text, is the number 5; put it in quotes"},
    {HEAD "    model: {modelFormat: {name: x}, args: [--a, on]}",
        "6:49: spec.predictor.model.args[1]: wants a text, is the boolean true; put it in quotes"},
    {HEAD "    model: {modelFormat: {name: x}, args: --a}",
        "6:43: spec.predictor.model.args: wants a list, is the string '--a'"},
    {HEAD "    model: {modelFormat: {name: x}, resources: {limits: {memory: 4GB}}}",
        "6:66: spec.predictor.model.resources.limits.memory: '4GB' is no quantity: a number like 4 or 0.5, then "
        "nothing or one of m "
        "k M G T P E Ki Mi Gi Ti Pi Ei"},
    {HEAD "    model: {modelFormat: {name: x}, storageUris: []}",
        "6:50: spec.predictor.model.storageUris: not supported: this release takes one storageUri"},
    {HEAD "    model: {modelFormat: {name: x}, env: [{name: PYTHONPATH, value: x}]}",
        "6:50: spec.predictor.model.env[0].name: setting PYTHONPATH in container \"kserve-container\" is not allowed "
        "for security "
        "reasons"},
    {HEAD "    model: {modelFormat: {name: x}, name: y}",
        "6:43: spec.predictor.model: the 'name' field is not allowed in standard predictor"},
    {HEAD "    minReplicas: 3\n    maxReplicas: 2\n    model: {modelFormat: {name: x}}",
        "6:18: spec.predictor.minReplicas: 'MinReplicas' cannot be greater than MaxReplicas"},
    {HEAD "    canaryTrafficPercent: 10\n    model: {modelFormat: {name: x}}",
        "6:27: spec.predictor.canaryTrafficPercent: not supported: this release gives the newest revision all the "
        "traffic, so it may "
        "only be 100"},
    {HEAD "    canaryTrafficPercent: 101\n    model: {modelFormat: {name: x}}",
        "6:27: spec.predictor.canaryTrafficPercent: is 101; it may be 0 to 100"},
    {HEAD "    scaleMetric: qps\n    model: {modelFormat: {name: x}}",
        "6:18: spec.predictor.scaleMetric: is 'qps'; it may be cpu|memory|concurrency|rps"},
    {HEAD "    containers: [{name: c, image: x}]", "6:17: spec.predictor.containers: not supported: images are not "
                                                   "run; name a runtime plugin by model.runtime or model.image"},
    {HEAD "    minReplicas: 1",
        "6:5: spec.predictor: exactly one of [SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, "
        "HuggingFace, PMML, LightGBM, Paddle, Model] must be specified in PredictorSpec; it has 0"},
    {"apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: A}\nspec: {predictor: {model: "
     "{modelFormat: {name: x}}}}",
        "3:18: metadata.name: the InferenceService \"A\" is invalid: a InferenceService name must consist of lower "
        "case alphanumeric "
        "characters or '-', and must start with alphabetical character. (e.g. \"my-name\" or \"abc-123\", regex used "
        "for validation is "
        "'[a-z]([-a-z0-9]*[a-z0-9])?')"},
    {"apiVersion: serving.kserve.io/v1alpha2\nkind: InferenceService\n",
        "1:13: apiVersion: no matches for kind \"InferenceService\" in version \"serving.kserve.io/v1alpha2\"; it is "
        "served as "
        "serving.kserve.io/v1beta1"},
    {"apiVersion: v1\nkind: InferenceServise\n",
        "2:7: kind: unknown kind 'InferenceServise'; did you mean 'InferenceService'?"},
    {"apiVersion: v1\nkind: TrainedModel\n", "2:7: kind: TrainedModel is not supported: this release serves one model "
                                             "a service; make it an InferenceService"},
    {"- a", "1:1: a document must be an object with apiVersion, kind, metadata and spec"},
    {RUNTIME "  containers: [{name: kserve-container, image: paddock/x}]", ""},
    {RUNTIME "  containers: [{name: kserve-container, image: paddock/my_x}]",
        "5:48: spec.containers[0].image: image paddock/my_x: a plugin's name has 1 to 63 of a-z, 0-9 and '-'"},
    {RUNTIME "  disabled: true", "5:3: spec.containers: is missing: one of them is called kserve-container"},
    {RUNTIME "  containers: []\n  supportedModelFormats: [{name: x, priority: 0}]",
        "6:47: spec.supportedModelFormats[0].priority: is 0; it may be 1 to 2147483647"},
};

START_TEST(accepts_or_says_why)
{
    struct resource_set set = {0};
    pdk_error err = {0};
    const char *text = cases[_i].text;
    pdk_status status = resource_set_read_text(&set, "f.yaml", SYNTAX_YAML, text, strlen(text), 0, &err);
    if (cases[_i].message[0] == '\0') {
        ck_assert_msg(status == PDK_OK, "%s", err.message);
        ck_assert_uint_eq(set.count, 1);
    } else {
        ck_assert_int_ne(status, PDK_OK);
        ck_assert_str_eq(err.message + strlen("f.yaml:"), cases[_i].message);
        ck_assert_uint_eq(set.count, 0);
    }
    resource_set_done(&set);
}
END_TEST

static void read_text(
    struct resource_set *set, const char *file, enum resource_syntax syntax, const char *text, unsigned layer)
{
    pdk_error err = {0};
    ck_assert_msg(
        resource_set_read_text(set, file, syntax, text, strlen(text), layer, &err) == PDK_OK, "%s", err.message);
}

START_TEST(three_syntaxes_make_one_tree)
{
    static const char yaml[] = HEAD "    model: {modelFormat: {name: x}, resources: {limits: {cpu: 4, memory: 4Gi}}}\n";
    static const char json[] =
        "{\"apiVersion\":\"serving.kserve.io/v1beta1\",\"kind\":\"InferenceService\",\"metadata\":{\"name\":\"a\"},"
        "\"spec\":{\"predictor\":{\"model\":{\"modelFormat\":{\"name\":\"x\"},\"resources\":{\"limits\":{\"cpu\":4,"
        "\"memory\":\"4Gi\"}}}}}}";
    static const char conf[] =
        "apiVersion = \"serving.kserve.io/v1beta1\"; kind = \"InferenceService\"; metadata = { name = \"a\"; };\n"
        "spec = { predictor = { model = { modelFormat = { name = \"x\"; }; resources = { limits = (\n"
        "  { name = \"cpu\"; value = 4; }, { name = \"memory\"; value = \"4Gi\"; } ); }; }; }; };";
    struct buffer printed[3] = {{0}};
    for (int i = 0; i < 3; i++) {
        struct resource_set set = {0};
        read_text(&set, "f", (enum resource_syntax)i, i == 0 ? yaml : i == 1 ? conf : json, 0);
        json_print(&printed[i], set.items[0].root);
        resource_set_done(&set);
    }
    ck_assert_str_eq(printed[0].data, printed[1].data);
    ck_assert_str_eq(printed[0].data, printed[2].data);
    for (int i = 0; i < 3; i++)
        buffer_done(&printed[i]);
}
END_TEST

START_TEST(old_forms_become_model)
{
    struct resource_set set = {0};
    const char *text;
    read_text(&set, "f", SYNTAX_YAML, HEAD "    huggingface: {storageUri: 'file:///x'}", 0);
    const struct json *predictor = json_path(set.items[0].root, "spec.predictor");
    ck_assert_ptr_null(json_get(predictor, "huggingface"));
    ck_assert(json_string(json_path(predictor, "model.modelFormat.name"), &text) && strcmp(text, "huggingface") == 0);
    ck_assert(json_string(json_path(predictor, "model.protocolVersion"), &text) && strcmp(text, "v2") == 0);
    ck_assert(json_string(json_path(predictor, "model.storageUri"), &text) && strcmp(text, "file:///x") == 0);
    ck_assert_str_eq(resource_meta(&set.items[0], "annotations", "modelFormat"), "huggingface");
    resource_set_done(&set);
}
END_TEST

START_TEST(warns_of_what_has_no_effect)
{
    struct resource_set set = {0};
    read_text(&set, "f", SYNTAX_YAML,
        HEAD "    minReplicas: 0\n    tolerations: []\n    model: {modelFormat: {name: x}, resources: {limits: "
             "{nvidia.com/gpu: '1'}}}",
        0);
    ck_assert_str_eq(set.warnings.data,
        "f:7:18: spec.predictor.tolerations: has no effect: it places pods in a cluster\n"
        "f:6:18: spec.predictor.minReplicas: is 0, and this release does not scale to zero; one replica runs\n"
        "f:8:74: spec.predictor.model.resources.limits[\"nvidia.com/gpu\"]: ignored: no GPU here, the CPU is used\n");
    resource_set_done(&set);
}
END_TEST

START_TEST(layers_replace_and_doubles_are_refused)
{
    static const char runtime[] = RUNTIME "  containers: [{name: kserve-container, image: paddock/x}]";
    struct resource_set set = {0};
    pdk_error err = {0};
    read_text(&set, "low", SYNTAX_YAML, runtime, 0);
    read_text(&set, "high", SYNTAX_YAML, runtime, 1);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_str_eq(set.items[0].file, "high");
    ck_assert_int_eq(
        resource_set_read_text(&set, "again", SYNTAX_YAML, runtime, strlen(runtime), 1, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "again:3:18: metadata.name: ServingRuntime 'r' stands in high:1 already");
    resource_set_done(&set);
}
END_TEST

/* The first document is good, the second is not: nothing of the file stays. */
START_TEST(a_file_is_taken_whole_or_not_at_all)
{
    struct resource_set set = {0};
    pdk_error err = {0};
    static const char text[] =
        HEAD "    tolerations: []\n    model: {modelFormat: {name: x}}\n---\nkind: Nothing\napiVersion: x\n";
    ck_assert_int_eq(resource_set_read_text(&set, "f", SYNTAX_YAML, text, strlen(text), 0, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "f:9:7: kind: unknown kind 'Nothing'");
    ck_assert_uint_eq(set.count, 0);
    ck_assert_uint_eq(set.warnings.length, 0);
    resource_set_done(&set);
}
END_TEST

START_TEST(many_documents_in_one_file)
{
    struct resource_set set = {0};
    read_text(&set, "f", SYNTAX_CONF,
        "documents = (\n"
        "  { apiVersion = \"serving.kserve.io/v1beta1\"; kind = \"InferenceService\"; metadata = { name = \"a\"; };\n"
        "    spec = { predictor = { model = { modelFormat = { name = \"x\"; }; }; }; }; },\n"
        "  { apiVersion = \"serving.kserve.io/v1beta1\"; kind = \"InferenceService\"; metadata = { name = \"b\"; };\n"
        "    spec = { predictor = { model = { modelFormat = { name = \"x\"; }; }; }; }; } );",
        0);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_str_eq(set.items[1].name, "b");
    ck_assert_uint_eq(set.items[1].line, 4);
    resource_set_done(&set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resource");
    TCase *tests = tcase_create("resource");
    tcase_add_loop_test(tests, accepts_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, three_syntaxes_make_one_tree);
    tcase_add_test(tests, old_forms_become_model);
    tcase_add_test(tests, warns_of_what_has_no_effect);
    tcase_add_test(tests, layers_replace_and_doubles_are_refused);
    tcase_add_test(tests, a_file_is_taken_whole_or_not_at_all);
    tcase_add_test(tests, many_documents_in_one_file);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
