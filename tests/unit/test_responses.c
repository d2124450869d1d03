/* The handles by which a runtime answers, and how what it says gathers into one write. */
#include "config.h"

#include "core/worker/responses.h"

#include "check_main.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/worker/worker.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct link link_;
static struct responses *responses;
static struct frame_reader peer;
static int end;

static void setup(void)
{
    int ends[2];
    pdk_error err;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    end = ends[0];
    ck_assert_int_eq(link_open(&link_, ends[1], &err), PDK_OK);
    frame_reader_init(&peer, end);
    responses = responses_new(&link_);
}

static void teardown(void)
{
    responses_free(responses);
    frame_reader_done(&peer);
    link_close(&link_);
    close(end);
}

static pdk_response *open_request(uint64_t id, const pdk_request **ret_request)
{
    const pdk_request request = {
        .kind = PDK_KIND_GENERATE, .text = {"hello", 5}, .stop = &(pdk_string){".", 1}, .stop_count = 1};
    struct buffer body = {0};
    pdk_response *response;
    pdk_error err;
    ck_assert_int_eq(wire_request_encode(&body, &request, &err), PDK_OK);
    struct frame frame = {.type = WIRE_REQUEST, .id = id, .body = (uint8_t *)body.data, .length = body.length};
    ck_assert_int_eq(responses_open(responses, &frame, &response, ret_request, &err), PDK_OK);
    buffer_done(&body); /* the handle has a copy */
    return response;
}

static pdk_status send_text(pdk_response *response, size_t length)
{
    static const char text[70000];
    const pdk_part part = {.size = sizeof part, .text = {text, length}};
    return response_send(response, &part);
}

/* Lets the main thread do its turn. */
static void turn(int timeout_ms)
{
    pdk_error err = {0};
    ck_assert_msg(link_wait(&link_, timeout_ms, &err) == PDK_OK, "%s", err.message);
}

/* Frames that have arrived, by one read. */
static unsigned arrived(void)
{
    pdk_error err;
    unsigned count = 0;
    if (frame_reader_fill(&peer, &err) != PDK_OK)
        return 0;
    for (bool there = true; there; count += there) {
        struct frame frame;
        ck_assert_int_eq(frame_reader_next(&peer, &frame, &there, &err), PDK_OK);
    }
    return count;
}

START_TEST(test_request_lives)
{
    const pdk_request *request;
    pdk_response *response = open_request(7, &request);
    ck_assert_uint_eq(request->id, 7);
    ck_assert_int_eq(memcmp(request->text.data, "hello", 5), 0);
    ck_assert_int_eq(memcmp(request->stop[0].data, ".", 1), 0);
    ck_assert_uint_eq(responses_count(responses), 1);
    response_finish(response, NULL);
    ck_assert_uint_eq(responses_count(responses), 0);
}
END_TEST

START_TEST(test_id_in_use)
{
    const pdk_request *request;
    pdk_response *response = open_request(7, &request), *other = NULL;
    pdk_error err;
    struct frame frame = {.type = WIRE_REQUEST, .id = 7, .body = (const uint8_t *)""};
    ck_assert_int_eq(responses_open(responses, &frame, &other, &request, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "request 7 is already in flight");
    frame.id = 8;
    ck_assert_int_eq(responses_open(responses, &frame, &other, &request, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "a request of 0 bytes is cut short");
    ck_assert_ptr_null(other);
    response_finish(response, NULL);
    open_request(7, &request); /* free again */
}
END_TEST

START_TEST(test_single_stream_leaves_at_once)
{
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    send_text(response, 3);
    ck_assert_int_eq(link_.urgency, LINK_NOW);
    turn(0);
    ck_assert_uint_eq(arrived(), 1);
    ck_assert_int_eq(link_.urgency, LINK_IDLE);
    response_finish(response, NULL);
}
END_TEST

START_TEST(test_step_leaves_in_one_write)
{
    enum { STREAMS = 256 };
    const pdk_request *request;
    pdk_response *all[STREAMS];
    for (uint64_t i = 0; i < STREAMS; i++)
        all[i] = open_request(i + 1, &request);
    for (int step = 0; step < 3; step++) {
        for (int i = 0; i < STREAMS; i++) {
            ck_assert_int_eq(link_.urgency, i == 0 ? LINK_IDLE : LINK_SOON);
            ck_assert_int_eq(send_text(all[i], 4), PDK_OK);
            if (i == 0) {
                turn(-1); /* the bell for "soon" wakes the main thread, which leaves the parts a moment */
                ck_assert_uint_eq(arrived(), 0);
            }
        }
        ck_assert_int_eq(link_.urgency, LINK_NOW);
        turn(-1);
        ck_assert_uint_eq(arrived(), STREAMS);
    }
    for (int i = 0; i < STREAMS; i++)
        response_finish(all[i], NULL);
}
END_TEST

START_TEST(test_soon_is_a_millisecond)
{
    const pdk_request *request;
    pdk_response *one = open_request(1, &request), *two = open_request(2, &request);
    send_text(one, 4); /* two says nothing in this step */
    int64_t start = monotonic_us();
    while (arrived() == 0)
        turn(-1);
    ck_assert_int_lt(monotonic_us() - start, 500000);
    response_finish(one, NULL);
    response_finish(two, NULL);
}
END_TEST

START_TEST(test_credit)
{
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    uint64_t part = 60000 + sizeof(struct wire_part);
    unsigned sent = 0;
    pdk_status status = PDK_OK;
    while (status == PDK_OK) {
        status = send_text(response, 60000);
        sent++;
    }
    ck_assert_int_eq(status, PDK_FULL);
    ck_assert_uint_eq(sent, 5); /* the first that reaches 256 KiB */
    ck_assert_int_eq(responses_credit(responses, 1, part), 0);
    ck_assert_int_eq(responses_credit(responses, 1, part), 0);
    ck_assert_int_eq(responses_credit(responses, 1, part), PDK_KIND_GENERATE); /* half is free: once */
    ck_assert_int_eq(responses_credit(responses, 1, part), 0);
    ck_assert_int_eq(responses_credit(responses, 1, 1000 * part), 0); /* more than was sent: nothing */
    ck_assert_int_eq(responses_credit(responses, 99, part), 0);
    ck_assert_int_eq(send_text(response, 3), PDK_OK);
    response_finish(response, NULL);
}
END_TEST

START_TEST(test_cancel)
{
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    ck_assert_int_eq(responses_cancel(responses, 2), 0);
    ck_assert_int_eq(responses_cancel(responses, 1), PDK_KIND_GENERATE);
    ck_assert_int_eq(responses_cancel(responses, 1), 0);
    ck_assert_int_eq(send_text(response, 3), PDK_CANCELLED);
    ck_assert_uint_eq(responses_overdue(responses, monotonic_ms() - 1000), 0);
    ck_assert_uint_eq(responses_overdue(responses, monotonic_ms() + 1000), 1);
    response_finish(response, &(pdk_error){.status = PDK_CANCELLED});
    ck_assert_uint_eq(responses_overdue(responses, monotonic_ms() + 1000), 0);
    turn(0);
    ck_assert_uint_eq(arrived(), 1); /* the finish alone */
}
END_TEST

START_TEST(test_part_of_another_version)
{
    /* An older plugin's part is shorter; what it does not have is empty. */
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    pdk_part part = {.size = offsetof(pdk_part, token_ids), .choice = 2, .text = {"not there yet", 13}};
    ck_assert_int_eq(response_send(response, &part), PDK_OK);
    turn(0);
    struct frame frame;
    bool there;
    pdk_part got;
    void *memory = NULL;
    pdk_error err;
    ck_assert_int_eq(frame_reader_fill(&peer, &err), PDK_OK);
    ck_assert_int_eq(frame_reader_next(&peer, &frame, &there, &err), PDK_OK);
    ck_assert_int_eq(wire_part_decode(frame.body, frame.length, &got, &memory, &err), PDK_OK);
    ck_assert_uint_eq(got.choice, 2);
    ck_assert_uint_eq(got.text.length, 0);
    part.size = 3;
    ck_assert_int_eq(response_send(response, &part), PDK_CANCELLED);
    response_finish(response, NULL);
    turn(0);
    ck_assert_int_eq(frame_reader_fill(&peer, &err), PDK_OK);
    ck_assert_int_eq(frame_reader_next(&peer, &frame, &there, &err), PDK_OK);
    pdk_error why;
    ck_assert_int_eq(wire_error_decode(frame.body, frame.length, &why, &err), PDK_OK);
    ck_assert_str_eq(why.message, "the runtime sent a part that cannot be passed on: a part says that it has 3 bytes");
}
END_TEST

START_TEST(test_finish_twice)
{
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    response_finish(response, NULL);
    for (uint64_t i = 2; i < 200; i++) /* the handle rests meanwhile */
        response_finish(open_request(i, &request), NULL);
    response_finish(response, NULL);
}
END_TEST

START_TEST(test_send_after_finish)
{
    const pdk_request *request;
    pdk_response *response = open_request(1, &request);
    response_finish(response, NULL);
    send_text(response, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("responses");
    TCase *tcase = tcase_create("responses");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_request_lives);
    tcase_add_test(tcase, test_id_in_use);
    tcase_add_test(tcase, test_single_stream_leaves_at_once);
    tcase_add_test(tcase, test_step_leaves_in_one_write);
    tcase_add_test(tcase, test_soon_is_a_millisecond);
    tcase_add_test(tcase, test_credit);
    tcase_add_test(tcase, test_cancel);
    tcase_add_test(tcase, test_part_of_another_version);
    tcase_add_exit_test(tcase, test_finish_twice, WORKER_EXIT_PLUGIN);
    tcase_add_exit_test(tcase, test_send_after_finish, WORKER_EXIT_PLUGIN);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
