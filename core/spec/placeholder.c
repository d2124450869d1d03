/* See the header. */
#include "config.h"

#include "core/spec/placeholder.h"

#include "core/base/error.h"

#include <string.h>

enum { KEY_MAX_BYTES = 128 };

/* The value of `.Labels.x` without braces and space; NULL: no such template. */
static const char *look_up(const char *expression, const struct resource *service)
{
    static const char labels[] = ".Labels.", annotations[] = ".Annotations.";
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (strcmp(expression, ".Name") == 0)
        return service->name;
    if (strcmp(expression, ".Namespace") == 0)
        return service->namespace_;
    bool label = strncmp(expression, labels, sizeof labels - 1) == 0;
    if (!label && strncmp(expression, annotations, sizeof annotations - 1) != 0)
        return NULL;
    const char *key = expression + (label ? sizeof labels : sizeof annotations) - 1;
    if (key[0] == '\0' || key[strspn(key, word)] != '\0')
        return NULL;
    const char *value = resource_meta(service, label ? "labels" : "annotations", key);
    return value != NULL ? value : "<no value>";
}

/* `at` stands behind "{{"; *ret_after behind "}}". */
static const char *render_one(const char *at, const struct resource *service, const char **ret_after)
{
    const char *end = strstr(at, "}}");
    char expression[KEY_MAX_BYTES];
    at += strspn(at, " \t");
    if (end == NULL || end < at)
        return NULL;
    size_t length = (size_t)(end - at);
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    if (length >= sizeof expression)
        return NULL;
    memcpy(expression, at, length);
    expression[length] = '\0';
    *ret_after = end + 2;
    return look_up(expression, service);
}

pdk_status placeholder_render(const char *text, const struct resource *service, struct buffer *out, pdk_error *err)
{
    for (const char *at = text; *at != '\0';) {
        const char *open = strstr(at, "{{");
        if (open == NULL) {
            buffer_puts(out, at);
            break;
        }
        buffer_put(out, at, (size_t)(open - at));
        const char *value = render_one(open + 2, service, &at);
        if (value == NULL)
            return pdk_error_value(err, PDK_INVALID, "spec.predictor.model.args", text,
                "cannot render '%.100s': only {{.Name}}, {{.Namespace}}, {{.Labels.x}} and {{.Annotations.x}} are "
                "known",
                text);
        buffer_puts(out, value);
    }
    return out->failed ? pdk_error_set(err, PDK_NO_MEMORY, "args", "no memory for the arguments") : PDK_OK;
}

static const char *variable(const char *name, size_t length, char *const *environment, size_t count)
{
    for (size_t i = count; i > 0; i--)
        if (strncmp(environment[i - 1], name, length) == 0 && environment[i - 1][length] == '=')
            return environment[i - 1] + length + 1;
    return NULL;
}

void placeholder_expand(const char *text, char *const *environment, size_t count, struct buffer *out)
{
    for (const char *at = text; *at != '\0';) {
        if (at[0] == '$' && at[1] == '$') {
            buffer_putc(out, '$');
            at += 2;
            if (*at != '(')
                continue;
            size_t literal = strcspn(at, ")");
            buffer_put(out, at, literal);
            at += literal;
            continue;
        }
        const char *end = at[0] == '$' && at[1] == '(' ? strchr(at, ')') : NULL;
        const char *value = end != NULL ? variable(at + 2, (size_t)(end - at - 2), environment, count) : NULL;
        if (value != NULL) {
            buffer_puts(out, value);
            at = end + 1;
        } else {
            buffer_putc(out, *at++);
        }
    }
}
