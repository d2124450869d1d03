/* The daemon dies with us by PR_SET_PDEATHSIG, however we end. Its port stands in RUN/port once it listens. */
#include "config.h"

#include "core/cli/private_daemon.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A service's name made from the file's: [a-z]([-a-z0-9]*[a-z0-9])?, at most 50. */
static void service_name(const char *path, char *name, size_t room)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL && slash[1] != '\0' ? slash + 1 : "model";
    size_t length = 0, end = strlen(base);
    const char *dot = strrchr(base, '.');
    if (dot != NULL && dot != base && (strcmp(dot, ".gguf") == 0 || strcmp(dot, ".safetensors") == 0))
        end = (size_t)(dot - base);
    for (size_t i = 0; i < end && length < room - 1 && length < 50; i++) {
        char c = (char)tolower((unsigned char)base[i]);
        if (!isalnum((unsigned char)c))
            c = '-';
        if (length == 0 && !isalpha((unsigned char)c))
            continue;
        name[length++] = c;
    }
    while (length > 0 && name[length - 1] == '-')
        length--;
    if (length == 0) {
        memcpy(name, "model", 5);
        length = 5;
    }
    name[length] = '\0';
}

static pdk_status write_service(const struct private_daemon *daemon, const char *path, pdk_error *err)
{
    char folder[128], file[192];
    snprintf(folder, sizeof folder, "%s/etc/models.d", daemon->folder);
    pdk_status status = folder_make(folder, 0700, err);
    if (status != PDK_OK)
        return status;
    PDK_CLEANUP(buffer_done) struct buffer text = {0}, uri = {0};
    buffer_printf(&uri, "file://%s", path);
    buffer_printf(&text,
        "{\"apiVersion\": \"serving.kserve.io/v1beta1\", \"kind\": \"InferenceService\", \"metadata\": {\"name\": "
        "\"%s\"},\n"
        " \"spec\": {\"predictor\": {\"model\": {\"modelFormat\": {\"name\": \"huggingface\"}, \"storageUri\": ",
        daemon->name);
    json_escape(&text, uri.data, uri.length);
    buffer_puts(&text, "}}}}\n");
    snprintf(file, sizeof file, "%s/%s.json", folder, daemon->name);
    return file_replace(file, text.data, text.length, 0600, err);
}

static void run_daemon(const struct paths *paths, const struct private_daemon *daemon, pid_t parent)
{
    char etc[96], run[96], log[96];
    snprintf(etc, sizeof etc, "%s/etc", daemon->folder);
    snprintf(run, sizeof run, "%s/run", daemon->folder);
    snprintf(log, sizeof log, "%s/log", daemon->folder);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int nothing = open("/dev/null", O_RDONLY);
    if (fd < 0 || nothing < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
        dup2(nothing, STDIN_FILENO) < 0)
        _exit(1);
    setpgid(0, 0); /* a ^C in the terminal is ours to handle */
    execl(paths->daemon, "paddockd", "--etc", etc, "--run", run, "--state", paths->state, "--listen", "127.0.0.1:0",
        (char *)NULL);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", paths->daemon, strerror(errno));
    _exit(127);
}

/* The last line of the daemon's log, for errors. */
static void last_log_line(const struct private_daemon *daemon, char *line, size_t room)
{
    char path[96];
    snprintf(path, sizeof path, "%s/log", daemon->folder);
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    line[0] = '\0';
    if (file_read(path, 16u << 20, &text, NULL) != PDK_OK || text.length == 0)
        return;
    while (text.length > 0 && text.data[text.length - 1] == '\n')
        text.data[--text.length] = '\0';
    const char *last = strrchr(text.data, '\n');
    snprintf(line, room, "%s", last != NULL ? last + 1 : text.data);
}

static bool ended(struct private_daemon *daemon)
{
    if (daemon->child <= 0 || waitpid(daemon->child, NULL, WNOHANG) != daemon->child)
        return false;
    daemon->child = 0;
    return true;
}

static pdk_status wait_for_port(struct private_daemon *daemon, struct client *client, pdk_error *err)
{
    char path[96], line[400];
    snprintf(path, sizeof path, "%s/run/port", daemon->folder);
    for (int64_t until = monotonic_ms() + 20000; monotonic_ms() < until;) {
        PDK_CLEANUP(buffer_done) struct buffer text = {0};
        if (file_read(path, 64, &text, NULL) == PDK_OK && text.length > 1 && text.data[text.length - 1] == '\n') {
            text.data[text.length - 1] = '\0';
            snprintf(client->server, sizeof client->server, "http://127.0.0.1:%.5s", text.data);
            client->key = NULL;
            return PDK_OK;
        }
        if (ended(daemon)) {
            last_log_line(daemon, line, sizeof line);
            return pdk_error_set(err, PDK_UNAVAILABLE, NULL, "paddockd ended: %s", line);
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return pdk_error_set(err, PDK_TIMEOUT, NULL, "paddockd did not begin to listen within 20 s");
}

/* The message of the condition Ready or PredictorReady that has one. */
static bool read_condition(const struct json *service, bool *ret_ready, char *message, size_t room)
{
    const struct json *conditions = json_path(service, "status.conditions");
    *ret_ready = false;
    message[0] = '\0';
    for (const struct json *c = conditions != NULL ? conditions->child : NULL; c != NULL; c = c->next) {
        const char *type, *state, *text;
        if (!json_string(json_get(c, "type"), &type) || !json_string(json_get(c, "status"), &state))
            continue;
        if (strcmp(type, "Ready") == 0)
            *ret_ready = strcmp(state, "True") == 0;
        if (strcmp(type, "PredictorReady") == 0 && json_string(json_get(c, "message"), &text))
            snprintf(message, room, "%s", text);
        if (strcmp(type, "PredictorReady") == 0 && strcmp(state, "False") == 0)
            return false;
    }
    return true;
}

static pdk_status wait_until_ready(struct private_daemon *daemon, const struct client *client, pdk_error *err)
{
    char path[160], message[400], shown[400] = "";
    bool terminal = isatty(STDERR_FILENO) == 1, ready = false;
    snprintf(
        path, sizeof path, "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/%s", daemon->name);
    pdk_status status = PDK_OK;
    while (status == PDK_OK && !ready) {
        PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
        status = client_json(client, path, NULL, &document, err);
        if (status != PDK_OK)
            break;
        if (!read_condition(json_root(document), &ready, message, sizeof message) && !ready)
            status = pdk_error_set(
                err, PDK_UNAVAILABLE, NULL, "%s", message[0] != '\0' ? message : "the model cannot be served");
        if (terminal && !ready && strcmp(message, shown) != 0) {
            fprintf(stderr, "\r\033[K%.120s", message);
            memcpy(shown, message, sizeof shown);
        }
        if (!ready && ended(daemon))
            status = pdk_error_set(err, PDK_UNAVAILABLE, NULL, "paddockd ended while it loaded the model");
        if (!ready && status == PDK_OK)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    if (shown[0] != '\0')
        fputs("\r\033[K", stderr);
    return status;
}

pdk_status private_daemon_start(const struct paths *paths, const char *path, struct private_daemon *ret_daemon,
    struct client *ret_client, pdk_error *err)
{
    struct private_daemon daemon = {0};
    const char *base = getenv("XDG_RUNTIME_DIR");
    snprintf(daemon.folder, sizeof daemon.folder, "%s/paddock-XXXXXX",
        base != NULL && base[0] == '/' && strlen(base) < 40 ? base : "/tmp");
    if (mkdtemp(daemon.folder) == NULL)
        return pdk_error_errno(err, errno, NULL, "cannot make a folder in %s", base != NULL ? base : "/tmp");
    service_name(path, daemon.name, sizeof daemon.name);
    pdk_status status = write_service(&daemon, path, err);
    if (status == PDK_OK) {
        pid_t parent = getpid();
        daemon.child = fork();
        if (daemon.child == 0)
            run_daemon(paths, &daemon, parent);
        status = daemon.child < 0 ? pdk_error_errno(err, errno, NULL, "cannot start a process") : PDK_OK;
    }
    if (status == PDK_OK)
        status = wait_for_port(&daemon, ret_client, err);
    if (status == PDK_OK)
        status = wait_until_ready(&daemon, ret_client, err);
    if (status != PDK_OK) {
        private_daemon_stop(&daemon);
        return status;
    }
    *ret_daemon = daemon;
    return PDK_OK;
}

void private_daemon_stop(struct private_daemon *daemon)
{
    if (daemon->child > 0) {
        kill(daemon->child, SIGTERM);
        while (waitpid(daemon->child, NULL, 0) < 0 && errno == EINTR)
            continue;
        daemon->child = 0;
    }
    if (daemon->folder[0] != '\0')
        folder_remove(AT_FDCWD, daemon->folder);
    daemon->folder[0] = '\0';
}
