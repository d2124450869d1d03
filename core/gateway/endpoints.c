/* Rows are tried in order, so a fixed path stands before one with names. */
#include "config.h"

#include "core/gateway/endpoints.h"

#include "core/gateway/admin.h"
#include "core/gateway/anthropic/anthropic.h"
#include "core/gateway/health.h"
#include "core/gateway/metrics.h"
#include "core/gateway/openai/openai.h"
#include "core/gateway/pooling/pooling.h"
#include "core/gateway/resources/resources.h"
#include "core/gateway/responses/responses.h"

#include <stdio.h>
#include <string.h>

#define GET_PLAIN(path, handle)                                         \
    {                                                                   \
        "GET", path, handle, path, BODY_NONE, SHAPE_PLAIN, false, false \
    }
#define OPENAI_GET(path, handle)                                         \
    {                                                                    \
        "GET", path, handle, path, BODY_NONE, SHAPE_OPENAI, false, false \
    }
#define OPENAI_POST(path, handle)                                         \
    {                                                                     \
        "POST", path, handle, path, BODY_JSON, SHAPE_OPENAI, false, false \
    }
/* Both prefixes of one endpoint: KServe's and vLLM's. */
#define OPENAI_GETS(path, handle)  OPENAI_GET(path, handle), OPENAI_GET("/openai" path, handle)
#define OPENAI_POSTS(path, handle) OPENAI_POST(path, handle), OPENAI_POST("/openai" path, handle)
#define OPENAI_POST_ANY(path, handle)                                    \
    {                                                                    \
        "POST", path, handle, path, BODY_ANY, SHAPE_OPENAI, false, false \
    }
#define ANTHROPIC_POST(path, handle)                                         \
    {                                                                        \
        "POST", path, handle, path, BODY_JSON, SHAPE_ANTHROPIC, false, false \
    }
#define ANTHROPIC_POSTS(path, handle) ANTHROPIC_POST(path, handle), ANTHROPIC_POST("/openai" path, handle)
#define REFUSE(path)                                                                   \
    {                                                                                  \
        "*", path, openai_refuse_operation, path, BODY_ANY, SHAPE_OPENAI, false, false \
    }
#define KUBE(path, handle)                                                   \
    {                                                                        \
        "GET", path, handle, path, BODY_NONE, SHAPE_KUBERNETES, false, false \
    }
#define KUBE_WRITES(path)                                                                        \
    {"POST", path, resources_refuse_write, path, BODY_ANY, SHAPE_KUBERNETES, false, false},      \
        {"PUT", path, resources_refuse_write, path, BODY_ANY, SHAPE_KUBERNETES, false, false},   \
        {"PATCH", path, resources_refuse_write, path, BODY_ANY, SHAPE_KUBERNETES, false, false}, \
    {                                                                                            \
        "DELETE", path, resources_refuse_write, path, BODY_ANY, SHAPE_KUBERNETES, false, false   \
    }

#define ISVC "/apis/serving.kserve.io/v1beta1"
#define CORE "/api/v1"

static const struct endpoint rows[] = {
    {"GET", "/healthz", health_live, "/healthz", BODY_NONE, SHAPE_PLAIN, true, true},
    {"GET", "/livez", health_live, "/livez", BODY_NONE, SHAPE_PLAIN, true, true},
    {"GET", "/readyz", health_ready, "/readyz", BODY_NONE, SHAPE_PLAIN, true, true},
    {"GET", "/metrics", metrics_handle, "/metrics", BODY_NONE, SHAPE_PLAIN, false, true},
    {"POST", "/-/reload", admin_reload, "/-/reload", BODY_ANY, SHAPE_KUBERNETES, false, true},

    OPENAI_GETS("/v1/models", openai_models),
    OPENAI_GETS("/v1/models/{model*}", openai_model),
    OPENAI_POSTS("/v1/completions", openai_completions),
    OPENAI_POSTS("/v1/chat/completions", openai_chat_completions),
    OPENAI_POSTS("/v1/chat/completions/batch", openai_chat_batch),
    OPENAI_POSTS("/v1/responses", responses_create),
    OPENAI_GETS("/v1/responses/{id}", responses_get),
    OPENAI_POST_ANY("/v1/responses/{id}/cancel", responses_cancel),
    OPENAI_POST_ANY("/openai/v1/responses/{id}/cancel", responses_cancel),
    ANTHROPIC_POSTS("/v1/messages", anthropic_messages),
    ANTHROPIC_POSTS("/v1/messages/count_tokens", anthropic_count_tokens),
    OPENAI_POSTS("/v1/embeddings", pooling_embeddings),
    OPENAI_POST("/score", pooling_score),
    OPENAI_POSTS("/v1/score", pooling_score),
    OPENAI_POST("/rerank", pooling_rerank),
    OPENAI_POSTS("/v1/rerank", pooling_rerank),
    OPENAI_POST("/v2/rerank", pooling_rerank),
    OPENAI_POST("/classify", pooling_classify),
    OPENAI_POST("/pooling", pooling_pool),
    OPENAI_POST("/tokenize", openai_tokenize),
    OPENAI_POST("/detokenize", openai_detokenize),
    OPENAI_GET("/tokenizer_info", openai_tokenizer_info),
    OPENAI_POST("/invocations", openai_invocations),
    OPENAI_GET("/health", openai_health),
    OPENAI_GET("/ping", openai_ping),
    {"POST", "/ping", openai_ping, "/ping", BODY_ANY, SHAPE_OPENAI, false, false},
    OPENAI_GET("/load", openai_load),
    OPENAI_GET("/openai/version", openai_version),
    REFUSE("/reset_prefix_cache"),
    REFUSE("/reset_mm_cache"),
    REFUSE("/reset_encoder_cache"),
    REFUSE("/sleep"),
    REFUSE("/wake_up"),
    REFUSE("/is_sleeping"),
    REFUSE("/server_info"),
    REFUSE("/collective_rpc"),
    REFUSE("/v1/load_lora_adapter"),
    REFUSE("/v1/unload_lora_adapter"),

    /* vLLM's clients and kubectl share this path: one object answers both. */
    {"GET", "/version", health_version, "/version", BODY_NONE, SHAPE_KUBERNETES, false, false},

    KUBE("/api", resources_api),
    KUBE("/apis", resources_apis),
    KUBE("/apis/serving.kserve.io", resources_group),
    KUBE(CORE, resources_core_list),
    KUBE(ISVC, resources_serving_list),
    KUBE("/openapi/v2", resources_openapi_v2),
    KUBE(ISVC "/inferenceservices", resources_services),
    KUBE(ISVC "/namespaces/{namespace}/inferenceservices", resources_services),
    KUBE_WRITES(ISVC "/namespaces/{namespace}/inferenceservices"),
    KUBE(ISVC "/namespaces/{namespace}/inferenceservices/{name}", resources_service),
    KUBE_WRITES(ISVC "/namespaces/{namespace}/inferenceservices/{name}"),
    KUBE(CORE "/pods", resources_pods),
    KUBE(CORE "/namespaces/{namespace}/pods", resources_pods),
    KUBE_WRITES(CORE "/namespaces/{namespace}/pods"),
    KUBE(CORE "/namespaces/{namespace}/pods/{name}", resources_pod),
    KUBE_WRITES(CORE "/namespaces/{namespace}/pods/{name}"),
    KUBE(CORE "/namespaces/{namespace}/pods/{name}/log", resources_pod_log),
    KUBE(CORE "/namespaces", resources_namespaces),
    KUBE(CORE "/namespaces/{namespace}", resources_namespace),
    KUBE(CORE "/events", resources_events),
    KUBE(CORE "/namespaces/{namespace}/events", resources_events),
    {"*", "/api/{rest*}", resources_unknown, "/api", BODY_ANY, SHAPE_KUBERNETES, false, false},
    {"*", "/apis/{rest*}", resources_unknown, "/apis", BODY_ANY, SHAPE_KUBERNETES, false, false},
};

size_t endpoints_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct endpoint *endpoint_row(size_t index)
{
    return &rows[index];
}

/* Takes what "{name}" or "{name*}" at *pattern stands for off *path. */
static bool take_segment(const char **pattern, const char **path, struct endpoint_segments *segments)
{
    const char *name = *pattern + 1;
    size_t length = strcspn(name, "*}");
    bool rest = name[length] == '*';
    size_t value = rest ? strlen(*path) : strcspn(*path, "/");
    if (value == 0 || value >= ENDPOINT_NAME_MAX || segments->count == ENDPOINT_SEGMENTS_MAX)
        return false;
    size_t i = segments->count++;
    segments->names[i] = name;
    segments->name_lengths[i] = length;
    memcpy(segments->values[i], *path, value);
    segments->values[i][value] = '\0';
    *pattern = name + length + (rest ? 2 : 1);
    *path += value;
    return true;
}

static bool path_matches(const struct endpoint *row, const char *path, struct endpoint_segments *segments)
{
    segments->count = 0;
    const char *pattern = row->path;
    while (*pattern != '\0') {
        if (*pattern == '{') {
            if (!take_segment(&pattern, &path, segments))
                return false;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    /* Python's Kubernetes client puts a slash behind some paths. */
    if (row->shape == SHAPE_KUBERNETES && strcmp(path, "/") == 0)
        return true;
    return *path == '\0';
}

const struct endpoint *endpoint_find(const char *method, const char *path, struct endpoint_segments *segments,
    char *allow, enum endpoint_shape *ret_shape)
{
    size_t length = 0;
    allow[0] = '\0';
    *ret_shape = SHAPE_OPENAI;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool every = rows[i].method[0] == '*';
        /* A catch-all below a path that has methods of its own must not hide them. */
        if ((every && allow[0] != '\0') || !path_matches(&rows[i], path, segments))
            continue;
        if (every || strcmp(rows[i].method, method) == 0)
            return &rows[i];
        *ret_shape = rows[i].shape;
        int written =
            snprintf(allow + length, ENDPOINT_ALLOW_MAX - length, "%s%s", length != 0 ? ", " : "", rows[i].method);
        if (written > 0 && (size_t)written < ENDPOINT_ALLOW_MAX - length)
            length += (size_t)written;
    }
    return NULL;
}

static bool copy_name(const char *from, size_t length, char *to, size_t room)
{
    if (length == 0 || length >= room)
        return false;
    memcpy(to, from, length);
    to[length] = '\0';
    return strspn(to, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

const char *endpoint_service_prefix(const char *path, char *namespace_, char *name, size_t room)
{
    static const char prefix[] = "/serving/";
    if (strncmp(path, prefix, sizeof prefix - 1) != 0)
        return path;
    const char *first = path + sizeof prefix - 1;
    size_t first_length = strcspn(first, "/");
    const char *second = first + first_length + (first[first_length] == '/');
    size_t second_length = strcspn(second, "/");
    if (second[second_length] != '/' || !copy_name(first, first_length, namespace_, room) ||
        !copy_name(second, second_length, name, room)) {
        namespace_[0] = name[0] = '\0';
        return path;
    }
    return second + second_length;
}
