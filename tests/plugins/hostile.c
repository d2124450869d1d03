/* A runtime that loads well and misbehaves at the first request, in the way that the prompt names. */
#define _GNU_SOURCE
#include "forbidden.h"
#include "stub.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct hostile {
    const pdk_host *host;
    const unsigned char *model; /* mapped, for "bus" */
    size_t model_bytes;
    uint32_t counter;
};

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    static struct hostile hostile;
    (void)err;
    hostile.host = host;
    *ret_self = &hostile;
    return PDK_OK;
}

static _Noreturn void sleep_for_ever(void)
{
    for (;;)
        poll(NULL, 0, 1000);
}

/* What an argument of the service asks for, before a load that would be well. */
static void misload(const char *act)
{
    if (strcmp(act, "--load=hang") == 0)
        sleep_for_ever();
    if (strcmp(act, "--load=crash") == 0)
        abort();
    if (strcmp(act, "--load=leave") == 0) {
        printf("first line\n\x1b[31msecond line, in red\xff\n");
        exit(0);
    }
}

static pdk_status load(void *self, const pdk_model_spec *spec, pdk_error *err)
{
    struct hostile *hostile = self;
    struct stat info;
    for (uint32_t i = 0; i < spec->argument_count; i++)
        misload(spec->arguments[i]);
    pdk_metric metric = {.size = sizeof metric, .kind = PDK_METRIC_COUNTER, .name = "hostile_total", .help = "acts"};
    hostile->host->metric(hostile->host->context, &metric, &hostile->counter, err);
    hostile->host->progress(hostile->host->context, 0.5, "Loading nothing");
    int fd = open(spec->path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        hostile->model_bytes = (size_t)info.st_size;
        hostile->model = mmap(NULL, hostile->model_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd >= 0)
        close(fd);
    return PDK_OK;
}

static pdk_status describe(void *self, pdk_model_info *ret_info, pdk_error *err)
{
    (void)self, (void)err;
    *ret_info = (pdk_model_info){.size = sizeof *ret_info, .has_tokenizer = 1, .max_model_len = 4096};
    return PDK_OK;
}

static void say(struct hostile *hostile, pdk_response *response, const char *text)
{
    pdk_part part = {.size = sizeof part, .text = {text, strlen(text)}};
    hostile->host->part_send(response, &part);
}

/* The socket, by looking. */
static int find_socket(void)
{
    struct stat info;
    for (int fd = 3; fd < 256; fd++)
        if (fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode))
            return fd;
    return -1;
}

static void send_raw(const void *bytes, size_t length)
{
    ssize_t ignored = write(find_socket(), bytes, length);
    (void)ignored;
}

static void send_header(uint16_t type, uint64_t id, uint32_t length)
{
    unsigned char header[24] = "PDK1";
    memcpy(header + 4, &type, sizeof type);
    memcpy(header + 8, &id, sizeof id);
    memcpy(header + 16, &length, sizeof length);
    send_raw(header, sizeof header);
}

/* A body that its sender could still shrink. */
static void send_unsealed(uint64_t id)
{
    unsigned char header[24] = "PDK1\x24";
    uint32_t one = 1;
    memcpy(header + 8, &id, sizeof id);
    memcpy(header + 20, &one, sizeof one);
    int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int failed = ftruncate(fd, 1 << 20);
    (void)failed;
    struct iovec piece = {header, sizeof header};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    sendmsg(find_socket(), &message, 0);
    close(fd);
}

static void try_forbidden(struct hostile *hostile, pdk_response *response)
{
    const char *name;
    char line[128];
    int error;
    for (unsigned i = 0; (name = forbidden_try(i, &error)) != NULL; i++) {
        snprintf(line, sizeof line, "%s: %s\n", name, error == 0 ? "worked" : strerrorname_np(error));
        say(hostile, response, line);
    }
}

static void *hang(void *argument)
{
    (void)argument;
    sleep_for_ever();
}

static void flood(struct hostile *hostile, pdk_response *response)
{
    static char text[60000];
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 1000; i++)
        say(hostile, response, text);
}

/* Acts after which the response still has to be finished: 1 when `act` was one. */
static int act_and_go_on(struct hostile *hostile, const char *act, pdk_response *response)
{
    if (strcmp(act, "prints") == 0) {
        printf("a line on stdout\n");
        fflush(stdout);
        fprintf(stderr, "a line on stderr\n");
    } else if (strcmp(act, "forbidden") == 0) {
        try_forbidden(hostile, response);
    } else if (strcmp(act, "flood") == 0) {
        flood(hostile, response);
    } else if (strcmp(act, "bad-part") == 0) {
        pdk_part part = {.size = sizeof part, .logprob_count = 3};
        hostile->host->part_send(response, &part);
    } else if (strcmp(act, "count") == 0) {
        hostile->host->metric_add(hostile->host->context, hostile->counter, 3);
    } else {
        return 0;
    }
    return 1;
}

/* Acts after which there is nothing to finish, or nobody. */
static void act_for_good(struct hostile *hostile, const char *act, uint64_t id, pdk_response *response)
{
    pthread_t thread;
    if (strcmp(act, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (strcmp(act, "hang") == 0) {
        hang(NULL);
    } else if (strcmp(act, "hang-engine") == 0) {
        pthread_create(&thread, NULL, hang, NULL);
    } else if (strcmp(act, "twice") == 0) {
        hostile->host->finish(response, NULL);
        hostile->host->finish(response, NULL);
    } else if (strcmp(act, "late-part") == 0) {
        hostile->host->finish(response, NULL);
        say(hostile, response, "late");
    } else if (strcmp(act, "garbage") == 0) {
        send_raw("this is not a frame, whatever it is", 35);
    } else if (strcmp(act, "huge") == 0) {
        send_header(36, id, 0xFFFFFFFF);
    } else if (strcmp(act, "unknown-id") == 0) {
        send_header(37, id + 1000000, 0);
    } else if (strcmp(act, "unsealed") == 0) {
        send_unsealed(id);
    } else if (strcmp(act, "bus") == 0) {
        volatile unsigned char byte = hostile->model[hostile->model_bytes - 1];
        (void)byte;
    } else if (strcmp(act, "exit") == 0) {
        _exit(0);
    } else if (strcmp(act, "hang-up") == 0) {
        close(find_socket()); /* the process lives on for a moment */
        sleep(1);
    } /* "never": not at all */
}

static pdk_status submit(void *self, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    struct hostile *hostile = self;
    char act[64];
    snprintf(act, sizeof act, "%.*s", (int)request->text.length, request->text.data != NULL ? request->text.data : "");
    if (strcmp(act, "refuse") == 0) {
        *err = (pdk_error){.status = PDK_INVALID};
        snprintf(err->message, sizeof err->message, "refused as asked");
        return PDK_INVALID;
    }
    if (act_and_go_on(hostile, act, response))
        hostile->host->finish(response, NULL);
    else
        act_for_good(hostile, act, request->id, response);
    return PDK_OK;
}

static void cancel(void *self, uint64_t request_id)
{
    (void)self, (void)request_id;
}

static const void *get_extension(void *self, const char *id)
{
    static const pdk_model model = {.size = sizeof model, .load = load, .describe = describe};
    static const pdk_generate generate = {.size = sizeof generate, .submit = submit, .cancel = cancel};
    (void)self;
    return strcmp(id, PDK_EXT_MODEL) == 0 ? (const void *)&model : strcmp(id, PDK_EXT_GENERATE) == 0 ? &generate : NULL;
}

const pdk_runtime pdk_runtime_entry = {
    .size = sizeof pdk_runtime_entry,
    .abi_major = PDK_RUNTIME_ABI_MAJOR,
    .abi_minor = PDK_RUNTIME_ABI_MINOR,
    .name = "hostile",
    .description = "does what the prompt names",
    .init = init,
    .get_extension = get_extension,
    .done = stub_done,
};
