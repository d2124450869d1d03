/* See the header. Nothing of the plugin but its entry and its options table is used. */
#include "config.h"

#include "core/worker/describe.h"

#include "core/base/json.h"
#include "core/worker/plugin.h"
#include "core/worker/sandbox.h"
#include "core/worker/worker.h"

#include <paddock/draft/options.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static void write_text(struct json_writer *writer, const char *key, const char *text)
{
    if (text == NULL)
        return;
    json_write_key(writer, key);
    json_write_text(writer, text, strlen(text));
}

static const char *named(int32_t value, const char *const *names, int32_t count)
{
    return value >= 0 && value < count ? names[value] : "unknown";
}

static void write_option(struct json_writer *writer, const pdk_option *option)
{
    static const char *const types[] = {"flag", "integer", "number", "text", "choice", "list"};
    static const char *const actions[] = {"used", "noted", "refused"};
    json_write_object(writer);
    write_text(writer, "name", option->name);
    write_text(writer, "type", named(option->type, types, 6));
    write_text(writer, "action", named(option->action, actions, 3));
    write_text(writer, "doc", option->doc);
    write_text(writer, "default", option->default_text);
    write_text(writer, "choices", option->choices);
    write_text(writer, "note", option->note);
    if (option->type == PDK_OPTION_INTEGER || option->type == PDK_OPTION_NUMBER) {
        json_write_key(writer, "minimum");
        json_write_double(writer, option->minimum);
        json_write_key(writer, "maximum");
        json_write_double(writer, option->maximum);
    }
    json_write_end_object(writer);
}

/* The array's stride is the plugin's, which may be of another minor version. */
static void write_options(struct json_writer *writer, const pdk_options *options)
{
    for (size_t i = 0; options != NULL && i < options->count; i++) {
        pdk_option option = {0};
        const char *from = (const char *)options->options + i * options->option_size;
        memcpy(&option, from, options->option_size < sizeof option ? options->option_size : sizeof option);
        write_option(writer, &option);
    }
}

static void write_runtime(struct buffer *out, const pdk_runtime *runtime)
{
    struct json_writer writer = {.out = out};
    const pdk_options *options = runtime->get_extension(NULL, PDK_EXT_OPTIONS);
    char abi[32];
    snprintf(abi, sizeof abi, "%u.%u", runtime->abi_major, runtime->abi_minor);
    json_write_object(&writer);
    write_text(&writer, "name", runtime->name);
    write_text(&writer, "description", runtime->description);
    write_text(&writer, "abi", abi);
    json_write_key(&writer, "needs_compute");
    json_write_bool(&writer, (runtime->flags & PDK_RUNTIME_NEEDS_COMPUTE) != 0);
    json_write_key(&writer, "extensions");
    json_write_array(&writer);
    if (options != NULL)
        json_write_string(&writer, PDK_EXT_OPTIONS);
    json_write_end_array(&writer);
    json_write_key(&writer, "options");
    json_write_array(&writer);
    write_options(&writer, options);
    json_write_end_array(&writer);
    json_write_end_object(&writer);
    buffer_putc(out, '\n');
}

/* The plugin's own code runs next, and it may be root who asks: nothing of the system is left to it. What the kernel
 * lacks is no reason not to answer. */
static void give_up_rights(void)
{
    int abi;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return;
    landlock_confine(NULL, 0, &abi, NULL);
    seccomp_confine(NULL);
}

int describe(const char *path)
{
    const pdk_runtime *runtime;
    pdk_error err = {0};
    char *absolute = realpath(path, NULL);
    if (absolute == NULL) {
        fprintf(stderr, "paddock-worker: cannot find %s\n", path);
        return WORKER_EXIT_LOAD;
    }
    pdk_status status = plugin_open_runtime(absolute, NULL, &runtime, &err);
    free(absolute);
    if (status != PDK_OK) {
        fprintf(stderr, "paddock-worker: %s\n", err.message);
        return WORKER_EXIT_LOAD;
    }
    give_up_rights();
    struct buffer out = {0};
    write_runtime(&out, runtime);
    int written = out.failed ? EOF : fputs(out.data, stdout);
    buffer_done(&out);
    return written == EOF || fflush(stdout) != 0 ? WORKER_EXIT_LOAD : 0;
}
