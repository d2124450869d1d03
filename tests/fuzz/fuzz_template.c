/* Any template ends, within its budgets, in an error with a message or in a text that its runs cover. */
#include "config.h"

#include "runtimes/huggingface/template/template.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char variables[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be "
    "<b>kind</b>.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
    "\"text\":\"na\u00efve "
    "\U0001F680\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"x\":[1,2.5,true]}}}]}],\"tools\":null,\"bos_token\":\"<s>\",\"add_generation_prompt\":true}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct template_budget budget = {.steps = 20000, .output_bytes = 65536, .depth = 8, .time_ms = 10000};
    static struct json_document *document;
    struct template *template = NULL;
    struct template_output output = {0};
    pdk_error err = {0};
    if (document == NULL && json_read(variables, strlen(variables), &json_limits_default, &document, &err) != PDK_OK)
        assert(0);
    pdk_status status = template_parse((const char *)data, size, &template, &err);
    if (status != PDK_OK) {
        assert(err.status == status && err.message[0] != '\0' && template == NULL);
        return 0;
    }
    status = template_render(template, json_root(document), 1767323045, &budget, &output, &err);
    size_t covered = 0;
    for (size_t i = 0; i < output.run_count; i++)
        covered += output.runs[i].length;
    assert(covered == output.text.length && output.text.length <= budget.output_bytes);
    assert(status == PDK_OK || (err.status == status && output.text.length == 0));
    template_output_done(&output);
    template_free(template);
    return 0;
}
