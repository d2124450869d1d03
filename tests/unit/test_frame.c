/* Frames through a socketpair: whole, in pieces, many at once, with descriptors. */
#include "config.h"

#include "core/ipc/frame.h"

#include "check_main.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];
static struct frame_writer writer;
static struct frame_reader reader;

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    writer = (struct frame_writer){0};
    frame_reader_init(&reader, ends[1]);
}

static void teardown(void)
{
    frame_writer_done(&writer);
    frame_reader_done(&reader);
    close(ends[0]);
    close(ends[1]);
}

static int open_descriptors(void)
{
    DIR *entries = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        count++;
    closedir(entries);
    return count;
}

/* The next frame, reading as often as needed. */
static pdk_status next(struct frame *frame, pdk_error *err)
{
    for (;;) {
        bool there;
        pdk_status status = frame_reader_next(&reader, frame, &there, err);
        if (status != PDK_OK || there)
            return status;
        status = frame_reader_fill(&reader, err);
        if (status != PDK_OK)
            return status;
    }
}

START_TEST(test_many_at_once)
{
    pdk_error err;
    for (uint64_t i = 0; i < 500; i++)
        ck_assert_int_eq(frame_put(&writer, WIRE_PART, i, "abcdefg", i % 8, &err), PDK_OK);
    ck_assert_int_eq(frame_writer_flush(&writer, ends[0], &err), PDK_OK);
    ck_assert(!frame_writer_pending(&writer));
    for (uint64_t i = 0; i < 500; i++) {
        struct frame frame;
        ck_assert_int_eq(next(&frame, &err), PDK_OK);
        ck_assert_int_eq(frame.type, WIRE_PART);
        ck_assert_uint_eq(frame.id, i);
        ck_assert_uint_eq(frame.length, i % 8);
        ck_assert_int_eq(memcmp(frame.body, "abcdefg", i % 8), 0);
    }
    struct frame frame;
    ck_assert_int_eq(next(&frame, &err), PDK_BUSY);
    shutdown(ends[0], SHUT_WR);
    ck_assert_int_eq(next(&frame, &err), PDK_UNAVAILABLE);
}
END_TEST

START_TEST(test_byte_by_byte)
{
    pdk_error err;
    struct frame frame;
    frame_put(&writer, WIRE_PONG, 7, "0123456789", 10, &err);
    frame_put(&writer, WIRE_BYE, 8, NULL, 0, &err);
    for (size_t i = 0; i < writer.bytes.length; i++) {
        ck_assert_int_eq(send(ends[0], writer.bytes.data + i, 1, 0), 1);
        pdk_status status = next(&frame, &err);
        ck_assert_int_eq(status, i == 33 || i == 57 ? PDK_OK : PDK_BUSY);
    }
    ck_assert_int_eq(frame.type, WIRE_BYE);
}
END_TEST

START_TEST(test_large_frames)
{
    /* 16 MiB stands in the stream for types that have no memfd form; the socket takes it in pieces. */
    pdk_error err;
    struct frame frame = {0};
    char *body = calloc(1, WIRE_FRAME_MAX + 1);
    body[WIRE_FRAME_MAX - 1] = 'z';
    ck_assert_int_eq(frame_put(&writer, WIRE_STATS, 0, body, WIRE_FRAME_MAX + 1, &err), PDK_TOO_LARGE);
    ck_assert_str_eq(err.message, "a frame of 16777217 bytes; the limit is 16777216");
    ck_assert(!frame_writer_pending(&writer));
    ck_assert_int_eq(frame_put(&writer, WIRE_STATS, 0, body, WIRE_FRAME_MAX, &err), PDK_OK);
    pdk_status status = PDK_BUSY;
    while (status == PDK_BUSY) {
        pdk_status sent = frame_writer_flush(&writer, ends[0], &err);
        ck_assert(sent == PDK_OK || sent == PDK_BUSY);
        status = next(&frame, &err);
    }
    ck_assert_int_eq(status, PDK_OK);
    ck_assert_uint_eq(frame.length, WIRE_FRAME_MAX);
    ck_assert_int_eq(frame.body[WIRE_FRAME_MAX - 1], 'z');
    free(body);
}
END_TEST

START_TEST(test_memfds)
{
    pdk_error err;
    int before = open_descriptors();
    char *body = calloc(1, 1 << 20);
    for (uint64_t i = 0; i < 40; i++) {
        memset(body, (int)i, 1 << 20);
        ck_assert_int_eq(frame_put(&writer, WIRE_REQUEST, i, body, i % 2 != 0 ? 1 << 20 : 9, &err), PDK_OK);
    }
    ck_assert_uint_lt(writer.bytes.length, 4096);
    for (uint64_t i = 0; i < 40; i++) {
        PDK_CLEANUP(frame_done) struct frame frame = {0};
        pdk_status status = PDK_BUSY;
        while (status == PDK_BUSY) { /* at most 16 descriptors are on their way before one is claimed */
            frame_writer_flush(&writer, ends[0], &err);
            status = next(&frame, &err);
        }
        ck_assert_msg(status == PDK_OK, "%s", err.message);
        ck_assert_uint_eq(frame.id, i);
        ck_assert_uint_eq(frame.length, i % 2 != 0 ? 1 << 20 : 9);
        ck_assert_uint_eq(frame.body[frame.length - 1], i);
        ck_assert_int_eq(frame.mapping != NULL, i % 2 != 0);
    }
    ck_assert_int_eq(open_descriptors(), before);
    free(body);
}
END_TEST

START_TEST(test_move)
{
    pdk_error err;
    struct frame_writer one = {0};
    char *body = calloc(1, 300 << 10);
    frame_put(&writer, WIRE_PING, 1, NULL, 0, &err);
    frame_put(&one, WIRE_PART, 2, body, 300 << 10, &err);
    frame_put(&one, WIRE_PING, 3, NULL, 0, &err);
    ck_assert_int_eq(frame_writer_move(&writer, &one, &err), PDK_OK);
    ck_assert(!frame_writer_pending(&one));
    ck_assert_int_eq(frame_writer_flush(&writer, ends[0], &err), PDK_OK);
    for (uint64_t i = 1; i <= 3; i++) {
        PDK_CLEANUP(frame_done) struct frame frame = {0};
        ck_assert_int_eq(next(&frame, &err), PDK_OK);
        ck_assert_uint_eq(frame.id, i);
        ck_assert_uint_eq(frame.length, i == 2 ? 300 << 10 : 0);
    }
    free(body);
}
END_TEST

static void send_with(const struct wire_header *header, const int *descriptors, size_t count)
{
    struct iovec piece = {(void *)header, sizeof *header};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 32)];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), descriptors, sizeof(int) * count);
    ck_assert_int_eq(sendmsg(ends[0], &message, 0), sizeof *header);
}

static const struct {
    const char *name, *message;
    int seals;
    off_t size;
} bodies[] = {
    {"unsealed", "a frame's body is no memfd with all four seals", 0, 4096},
    {"may shrink", "a frame's body is no memfd with all four seals", F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE, 4096},
    {"may be written", "a frame's body is no memfd with all four seals", F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK,
        4096},
    {"may be unsealed", "a frame's body is no memfd with all four seals", F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK,
        4096},
    {"empty", "a frame's memfd has 0 bytes; the limit is 1073741824", 0xF, 0},
    {"too large", "a frame's memfd has 1073741825 bytes; the limit is 1073741824", 0xF, (off_t)WIRE_BODY_MAX + 1},
};

START_TEST(test_bad_memfd)
{
    pdk_error err;
    struct frame frame;
    const struct wire_header header = {.magic = WIRE_MAGIC, .type = WIRE_PART, .descriptors = 1};
    int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(fd, bodies[_i].size), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, bodies[_i].seals), 0);
    send_with(&header, &fd, 1);
    close(fd);
    ck_assert_int_eq(next(&frame, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, bodies[_i].message);
}
END_TEST

START_TEST(test_stray_descriptors)
{
    pdk_error err;
    struct frame frame;
    struct wire_header header = {.magic = WIRE_MAGIC, .type = WIRE_PONG};
    int pipes[2], many[20];
    ck_assert_int_eq(pipe(pipes), 0);
    int before = open_descriptors();
    send_with(&header, pipes, 1);
    ck_assert_int_eq(next(&frame, &err), PDK_OK);
    ck_assert_int_eq(next(&frame, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "a descriptor came that no frame announced");
    frame_reader_done(&reader);
    frame_reader_init(&reader, ends[1]);

    header.descriptors = 1; /* a pipe is no memfd */
    send_with(&header, pipes, 1);
    ck_assert_int_eq(next(&frame, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "a frame of type 39 came with a descriptor");
    frame_reader_done(&reader);
    frame_reader_init(&reader, ends[1]);

    for (size_t i = 0; i < 20; i++)
        many[i] = pipes[0];
    send_with(&header, many, 20);
    ck_assert_int_eq(next(&frame, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "the peer sent more than 16 descriptors ahead");
    frame_reader_done(&reader);
    frame_reader_init(&reader, ends[1]);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(test_busy_writer_does_not_grow)
{
    /* A reader that is always one frame behind. */
    pdk_error err;
    char body[60000] = {0};
    size_t most = 0;
    for (int i = 0; i < 2000; i++) {
        struct frame frame;
        frame_put(&writer, WIRE_STATS, 0, body, sizeof body, &err);
        frame_writer_flush(&writer, ends[0], &err);
        if (i > 20)
            ck_assert_int_eq(next(&frame, &err), PDK_OK);
        most = writer.bytes.room > most ? writer.bytes.room : most;
    }
    ck_assert_uint_le(most, 8 << 20);
}
END_TEST

START_TEST(test_peer_gone)
{
    pdk_error err;
    close(ends[1]);
    frame_put(&writer, WIRE_PING, 0, NULL, 0, &err);
    ck_assert_int_eq(frame_writer_flush(&writer, ends[0], &err), PDK_UNAVAILABLE);
    ends[1] = dup(ends[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tcase = tcase_create("frame");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_many_at_once);
    tcase_add_test(tcase, test_byte_by_byte);
    tcase_add_test(tcase, test_large_frames);
    tcase_add_test(tcase, test_memfds);
    tcase_add_test(tcase, test_move);
    tcase_add_loop_test(tcase, test_bad_memfd, 0, sizeof bodies / sizeof bodies[0]);
    tcase_add_test(tcase, test_stray_descriptors);
    tcase_add_test(tcase, test_busy_writer_does_not_grow);
    tcase_add_test(tcase, test_peer_gone);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
