/* See the header. */
#include "config.h"

#include "core/cli/client.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    bool (*take)(void *context, const char *data, size_t length);
    void *context;
    struct buffer *body; /* where an error's text goes, or all of it when `take` is NULL */
    CURL *curl;
    bool stopped;
};

void client_init(struct client *client, const char *server)
{
    if (server == NULL)
        server = getenv("PADDOCK_SERVER");
    snprintf(client->server, sizeof client->server, "%s",
        server != NULL && server[0] != '\0' ? server : "http://127.0.0.1:8080");
    client->key = getenv("PADDOCK_API_KEY");
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t length = size * count;
    long status = 0;
    curl_easy_getinfo(answer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer->take != NULL && status < 400) {
        if (!answer->take(answer->context, data, length)) {
            answer->stopped = true;
            return 0;
        }
        return length;
    }
    if (answer->body->length + length > 64u << 20)
        return 0;
    buffer_put(answer->body, data, length);
    return answer->body->failed ? 0 : length;
}

static pdk_status perform(const struct client *client, const char *path, const char *body, struct answer *answer,
    long *ret_status, pdk_error *err)
{
    char url[2048], key[600];
    bool local = strncmp(client->server, "unix:", 5) == 0;
    if ((size_t)snprintf(url, sizeof url, "%s%s", local ? "http://localhost" : client->server, path) >= sizeof url)
        return pdk_error_set(err, PDK_INVALID, "path", "a path of over 2000 characters");
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "libcurl does not start");
    answer->curl = curl;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->key != NULL) {
        snprintf(key, sizeof key, "Authorization: Bearer %.512s", client->key);
        headers = curl_slist_append(headers, key);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    if (local)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->server + 5);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer->stopped))
        return PDK_OK;
    return pdk_error_set(err, PDK_UNAVAILABLE, "server", "%s: %s", client->server, curl_easy_strerror(code));
}

pdk_status client_ask(const struct client *client, const char *path, const char *body, long *ret_status,
    struct buffer *ret_body, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct answer answer = {.body = &text};
    pdk_status status = perform(client, path, body, &answer, ret_status, err);
    if (status != PDK_OK)
        return status;
    if (text.data == NULL)
        buffer_puts(&text, "");
    *ret_body = text;
    text = (struct buffer){0};
    return PDK_OK;
}

/* The message of an OpenAI error object or a Kubernetes Status, else the body itself. */
static pdk_status http_error(long code, const struct buffer *body, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    const char *message = body->data != NULL && body->data[0] != '\0' ? body->data : "no further word";
    if (body->data != NULL && json_read(body->data, body->length, &json_limits_default, &document, NULL) == PDK_OK) {
        const struct json *root = json_root(document);
        const char *text;
        if (json_string(json_path(root, "error.message"), &text) || json_string(json_get(root, "message"), &text) ||
            json_string(json_get(root, "error"), &text) || json_string(json_get(root, "detail"), &text))
            message = text;
    }
    pdk_status status = code == 404                  ? PDK_NOT_FOUND
                        : code == 401                ? PDK_UNAUTHENTICATED
                        : code == 403                ? PDK_DENIED
                        : code == 503 || code == 429 ? PDK_UNAVAILABLE
                                                     : PDK_INVALID;
    return pdk_error_set(err, status, NULL, "%.400s", message);
}

pdk_status client_json(const struct client *client, const char *path, const char *body,
    struct json_document **ret_document, pdk_error *err)
{
    long code = 0;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = client_ask(client, path, body, &code, &text, err);
    if (status != PDK_OK)
        return status;
    if (code >= 400)
        return http_error(code, &text, err);
    struct json_limits limits = json_limits_default;
    limits.bytes = 64u << 20;
    status = json_read(text.data, text.length, &limits, ret_document, err);
    if (status != PDK_OK)
        pdk_error_wrap(err, "the server's answer");
    return status;
}

pdk_status client_stream(const struct client *client, const char *path, const char *body,
    bool (*take)(void *context, const char *data, size_t length), void *context, pdk_error *err)
{
    long code = 0;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    struct answer answer = {.take = take, .context = context, .body = &text};
    pdk_status status = perform(client, path, body, &answer, &code, err);
    if (status != PDK_OK)
        return status;
    return code >= 400 ? http_error(code, &text, err) : PDK_OK;
}
