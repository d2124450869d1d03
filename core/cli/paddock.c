/* paddock: the command line. Everything it knows it asks a daemon, through the API that clients use. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/base/paths.h"
#include "core/cli/chat.h"
#include "core/cli/client.h"
#include "core/cli/private_daemon.h"
#include "core/cli/pull.h"
#include "core/cli/resources.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command_line {
    struct paths paths;
    struct client client;
    char **words; /* behind the command, options taken out */
    int count;
    bool follow, previous;
    const char *tail, *etc, *state;
    struct chat_settings chat;
};

struct command {
    const char *name, *arguments, *doc;
    int least, most; /* words */
    int (*run)(struct command_line *line);
};

static int failed(const pdk_error *err)
{
    fprintf(stderr, "paddock: %s\n", err->message);
    return EXIT_FAILURE;
}

static void interrupted(int number)
{
    if (chat_interrupted && number == SIGINT)
        signal(number, SIG_DFL);
    chat_interrupted = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: a read of the terminal ends */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The prompt: the words, else what stdin brings when it is no terminal. */
static char *take_prompt(struct command_line *line)
{
    PDK_CLEANUP(buffer_done) struct buffer prompt = {0};
    for (int i = 1; i < line->count; i++)
        buffer_printf(&prompt, "%s%s", i > 1 ? " " : "", line->words[i]);
    if (line->count == 1 && isatty(STDIN_FILENO) != 1) {
        char piece[4096];
        for (size_t got; (got = fread(piece, 1, sizeof piece, stdin)) > 0 && prompt.length < 8u << 20;)
            buffer_put(&prompt, piece, got);
    }
    return prompt.length > 0 ? buffer_take(&prompt) : NULL;
}

/* With a prompt one answer, without one a conversation. */
static int converse(struct command_line *line, const char *prompt)
{
    pdk_error err = {0};
    const char *model = line->words[0];
    struct private_daemon daemon = {0};
    if (chat_settings_check(&line->chat, &err) != PDK_OK)
        return failed(&err);
    catch_interrupts();
    if (!resources_serves(&line->client, model)) {
        char path[4096];
        if (pull_resolve(&line->paths, model, path, sizeof path, &err) != PDK_OK ||
            private_daemon_start(&line->paths, path, &daemon, &line->client, &err) != PDK_OK)
            return failed(&err);
        model = daemon.name;
    }
    pdk_status status = prompt != NULL ? chat_once(&line->client, model, &line->chat, prompt, &err)
                                       : chat_loop(&line->client, model, &line->chat, &err);
    private_daemon_stop(&daemon);
    return status == PDK_OK ? EXIT_SUCCESS : failed(&err);
}

static int run_model(struct command_line *line)
{
    PDK_AUTO_FREE char *prompt = take_prompt(line);
    return converse(line, prompt);
}

static int chat_with(struct command_line *line)
{
    return converse(line, NULL);
}

static int pull(struct command_line *line)
{
    pdk_error err = {0};
    char path[4096];
    if (pull_resolve(&line->paths, line->words[0], path, sizeof path, &err) != PDK_OK)
        return failed(&err);
    puts(path);
    return EXIT_SUCCESS;
}

static int list(struct command_line *line)
{
    return resources_list(&line->client);
}

static int show_status(struct command_line *line)
{
    return resources_status(&line->client, line->words[0]);
}

static int show_logs(struct command_line *line)
{
    return resources_logs(&line->client, line->words[0], line->follow, line->previous, line->tail);
}

static int reload(struct command_line *line)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_error err = {0};
    const char *message;
    if (client_json(&line->client, "/-/reload", "{}", &document, &err) != PDK_OK)
        return failed(&err);
    if (json_string(json_get(json_root(document), "message"), &message))
        puts(message);
    return EXIT_SUCCESS;
}

static int check(struct command_line *line)
{
    if (line->etc != NULL)
        execl(line->paths.daemon, "paddockd", "--check", "--etc", line->etc, (char *)NULL);
    else
        execl(line->paths.daemon, "paddockd", "--check", (char *)NULL);
    fprintf(stderr, "paddock: cannot start %s: %s\n", line->paths.daemon, strerror(errno));
    return EXIT_FAILURE;
}

static const struct command commands[] = {
    {"run", "[--temperature T] [--max-tokens N] MODEL [PROMPT]", "ask a model once; without a prompt, talk to it", 1,
        1 << 20, run_model},
    {"chat", "[--temperature T] [--max-tokens N] MODEL", "talk to a model", 1, 1, chat_with},
    {"pull", "MODEL", "fetch a model: hf://OWNER/NAME[:REVISION][/FILE], https://…, file:///…", 1, 1, pull},
    {"list", "", "the services of the daemon", 0, 0, list},
    {"status", "NAME", "a service's conditions; exit status 0 when it is ready", 1, 1, show_status},
    {"logs", "[-f] [-p] [--tail N] NAME", "what a service's worker wrote", 1, 1, show_logs},
    {"reload", "", "have the daemon read its configuration again, and say how that went", 0, 0, reload},
    {"check", "[--etc DIR]", "check the configuration without a daemon", 0, 0, check},
};

static int print_usage(FILE *to)
{
    fputs("usage: paddock [--server URL] COMMAND ...\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-7s %s\n            %s\n", commands[i].name, commands[i].arguments, commands[i].doc);
    fputs("\nMODEL: what the daemon serves, a .gguf file, a folder, a URI, or a short name such as smollm2.\n"
          "Environment: PADDOCK_SERVER (http://127.0.0.1:8080, unix:PATH), PADDOCK_API_KEY, HF_TOKEN, HF_ENDPOINT.\n",
        to);
    return to == stdout ? EXIT_SUCCESS : 2;
}

/* Takes an option at argv[*at]; false: it is none. */
static bool take_option(struct command_line *line, const char **server, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    const struct {
        const char *name;
        const char **value;
    } valued[] = {{"--server", server}, {"--tail", &line->tail}, {"--etc", &line->etc}, {"--state", &line->state},
        {"--temperature", &line->chat.temperature}, {"--max-tokens", &line->chat.max_tokens}};
    for (size_t i = 0; i < sizeof valued / sizeof valued[0]; i++) {
        size_t length = strlen(valued[i].name);
        if (strncmp(word, valued[i].name, length) == 0 && word[length] == '=') {
            *valued[i].value = word + length + 1;
            return true;
        }
        if (strcmp(word, valued[i].name) == 0 && *at + 1 < argc) {
            *valued[i].value = argv[++*at];
            return true;
        }
    }
    line->follow |= strcmp(word, "-f") == 0 || strcmp(word, "--follow") == 0;
    line->previous |= strcmp(word, "-p") == 0 || strcmp(word, "--previous") == 0;
    return strcmp(word, "-f") == 0 || strcmp(word, "--follow") == 0 || strcmp(word, "-p") == 0 ||
           strcmp(word, "--previous") == 0 || strcmp(word, "--wait") == 0;
}

static int unknown_command(const char *name)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        nearest_offer(&nearest, commands[i].name);
    fprintf(stderr, "paddock: no command is called '%.64s'%s\n", name, nearest_hint(&nearest));
    return 2;
}

int main(int argc, char **argv)
{
    struct command_line line = {0};
    const char *server = NULL, *name = NULL;
    PDK_AUTO_FREE char **words = calloc((size_t)argc + 1, sizeof(char *));
    if (words == NULL)
        return EXIT_FAILURE;
    bool plain = false; /* behind `--`, or in a prompt, nothing is an option */
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!plain && name == NULL &&
            (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0))
            return print_usage(stdout);
        if (!plain && name == NULL && strcmp(word, "--version") == 0)
            return puts("paddock " PACKAGE_VERSION) < 0;
        if (!plain && strcmp(word, "--") == 0) {
            plain = true;
        } else if (plain || word[0] != '-' || word[1] == '\0') {
            if (name == NULL)
                name = word;
            else
                words[line.count++] = argv[i];
            plain |= line.count > 0 && strcmp(name, "run") == 0;
        } else if (!take_option(&line, &server, argc, argv, &i)) {
            fprintf(stderr, "paddock: unknown option '%.64s'\n", word);
            return 2;
        }
    }
    if (name == NULL)
        return print_usage(stderr);
    paths_find(&line.paths);
    if (line.state != NULL)
        snprintf(line.paths.state, sizeof line.paths.state, "%s", line.state);
    client_init(&line.client, server);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    line.words = words;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (line.count < commands[i].least || line.count > commands[i].most) {
            fprintf(stderr, "usage: paddock %s %s\n", name, commands[i].arguments);
            return 2;
        }
        return commands[i].run(&line);
    }
    return unknown_command(name);
}
