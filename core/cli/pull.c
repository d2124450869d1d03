/* See the header. */
#include "config.h"

#include "core/cli/pull.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/spec/aliases.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct progress {
    char file[128];
    bool terminal, drawn;
};

static void draw(struct progress *progress, const char *file, uint64_t done, uint64_t total)
{
    if (!progress->terminal) {
        if (strncmp(progress->file, file, sizeof progress->file - 1) != 0)
            fprintf(stderr, "fetching %s\n", file);
    } else if (total != 0) {
        char bar[31];
        size_t filled = (size_t)((double)done / (double)total * 30.0);
        memset(bar, ' ', 30);
        memset(bar, '=', filled > 30 ? 30 : filled);
        bar[30] = '\0';
        fprintf(stderr, "\r\033[K%.40s [%s] %3.0f %% of %.1f MB", file, bar, 100.0 * (double)done / (double)total,
            (double)total / 1e6);
        progress->drawn = true;
    } else {
        fprintf(stderr, "\r\033[K%.40s %.1f MB", file, (double)done / 1e6);
        progress->drawn = true;
    }
    snprintf(progress->file, sizeof progress->file, "%.127s", file);
}

/* One line of paddock-fetch. True: it was the last, and `status` and the path or error are set. */
static bool take_line(
    struct progress *progress, const char *line, char *ret_path, size_t room, pdk_status *status, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    if (json_read(line, strlen(line), &json_limits_default, &document, NULL) != PDK_OK)
        return false;
    const struct json *root = json_root(document);
    const char *text;
    uint64_t done = 0, total = 0;
    if (json_string(json_get(root, "file"), &text)) {
        json_uint64(json_get(root, "done"), &done);
        json_uint64(json_get(root, "total"), &total);
        draw(progress, text, done, total);
        return false;
    }
    if (json_string(json_get(root, "path"), &text) && strlen(text) < room) {
        memcpy(ret_path, text, strlen(text) + 1);
        *status = PDK_OK;
        return true;
    }
    if (json_string(json_get(root, "error"), &text)) {
        *status = pdk_error_set(err, PDK_UNAVAILABLE, "uri", "%s", text);
        return true;
    }
    return false;
}

pdk_status pull_model(const struct paths *paths, const char *uri, char *ret_path, size_t room, pdk_error *err)
{
    char models[PATH_ROOM + 16];
    snprintf(models, sizeof models, "%s/models", paths->state);
    char models_flag[] = "--models";
    char *arguments[] = {(char *)paths->fetch, models_flag, models, (char *)uri, NULL}; /* posix_spawn changes none */
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return pdk_error_errno(err, errno, NULL, "cannot make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t child;
    int failed = posix_spawn(&child, paths->fetch, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return pdk_error_errno(err, failed, NULL, "cannot start %s", paths->fetch);
    }
    FILE *lines = fdopen(ends[0], "r");
    struct progress progress = {.terminal = isatty(STDERR_FILENO) == 1};
    pdk_status status = pdk_error_set(err, PDK_INTERNAL, NULL, "paddock-fetch ended without a word");
    char *line = NULL;
    size_t line_room = 0;
    while (lines != NULL && getline(&line, &line_room, lines) > 0)
        if (take_line(&progress, line, ret_path, room, &status, err))
            break;
    free(line);
    if (lines != NULL)
        fclose(lines);
    if (progress.drawn)
        fputs("\r\033[K", stderr);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* The administrator's aliases, then the shipped ones. */
static pdk_status look_up_alias(const struct paths *paths, const char *name, struct buffer *uri, pdk_error *err)
{
    const char *const folders[] = {paths->etc, paths->shipped};
    pdk_error first = {0};
    for (size_t i = 0; i < 2; i++) {
        char file[PATH_ROOM + 32];
        snprintf(file, sizeof file, "%s/model-aliases.conf", folders[i]);
        pdk_status status = alias_find(file, name, uri, &first);
        if (status == PDK_OK)
            return PDK_OK;
        if (status != PDK_NOT_FOUND) {
            *err = first;
            return status;
        }
    }
    const char *hint = strstr(first.message, "; did you mean");
    return pdk_error_value(err, PDK_NOT_FOUND, "model", name,
        "'%.100s' is no file, no folder, no URI (hf://OWNER/NAME, https://…, file:///…) and no short name%.100s", name,
        hint != NULL ? hint : "");
}

pdk_status pull_resolve(const struct paths *paths, const char *model, char *ret_path, size_t room, pdk_error *err)
{
    if (strstr(model, "://") != NULL)
        return pull_model(paths, model, ret_path, room, err);
    char *real = realpath(model, NULL);
    if (real != NULL) {
        bool fits = strlen(real) < room;
        if (fits)
            memcpy(ret_path, real, strlen(real) + 1);
        free(real);
        return fits ? PDK_OK : pdk_error_set(err, PDK_INVALID, "model", "the path is longer than %zu bytes", room - 1);
    }
    if (strchr(model, '/') != NULL && (model[0] == '/' || model[0] == '.'))
        return pdk_error_errno(err, errno, "model", "cannot open %s", model);
    PDK_CLEANUP(buffer_done) struct buffer uri = {0};
    pdk_status status = look_up_alias(paths, model, &uri, err);
    return status != PDK_OK ? status : pull_model(paths, uri.data, ret_path, room, err);
}
