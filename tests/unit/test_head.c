/* Heads: what is read, what is refused and as what; and what CivetWeb's pieces are put together to. */
#include "config.h"

#include "check_main.h"

#include "core/base/cleanup.h"
#include "core/gateway/civet_head.h"
#include "core/gateway/framing.h"
#include "core/gateway/head.h"

#include <stdio.h>
#include <string.h>

#define HOST "Host: a\r\n"

static const struct {
    const char *text;
    int status; /* 0: fine */
    const char *words;
} heads[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", 0, ""},
    {"GET /a?b=c HTTP/1.0\r\n\r\n", 0, ""},
    {"GET / HTTP/1.1\r\n\r\n", 400, "Host is missing"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, "Host is there twice"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is malformed"},
    {"GET / HTTP/1.1\n" HOST "\r\n", 400, "CRLF"},
    {"GET / HTTP/1.1\r\n" HOST "X: 1\n\r\n", 400, "CRLF"},
    {"GET / HTTP/1.1\r\n" HOST, 400, "CRLF"},
    {"GET / HTTP/1.1\r\n" HOST "\r\nX", 400, "malformed"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded"},
    {"GET / HTTP/1.1\r\n" HOST "X: 1\r\n\t2\r\n\r\n", 400, "folded"},
    {"GET / HTTP/1.1\r\n" HOST "X : 1\r\n\r\n", 400, "name"},
    {"GET / HTTP/1.1\r\n" HOST ": 1\r\n\r\n", 400, "name"},
    {"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400, "name"},
    {"GET / HTTP/1.1\r\n" HOST "X: a\001\r\n\r\n", 400, "control byte"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505, "HTTP/1.1"},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400, "request line"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400, "request line"},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", 400, "target"},
    {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", 400, "target"},
    {"* / HTTP/1.1\r\n" HOST "\r\n", 0, ""}, /* '*' is a token; no endpoint has it */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "exclude"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400, "twice"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, "twice"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400, "not a number"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", 400, "not a number"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, "exactly"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "exactly"},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.1"},
    {"POST / HTTP/1.1\r\n" HOST "Expect: a\r\n\r\n", 417, "Expect"},
};

START_TEST(reads_and_refuses)
{
    struct head head;
    const struct head_fault *fault = head_read(&head, heads[_i].text, strlen(heads[_i].text));
    if (heads[_i].status == 0) {
        ck_assert_msg(fault == NULL, "%s: %s", heads[_i].text, fault != NULL ? fault->message : "");
        head_done(&head);
        return;
    }
    ck_assert_msg(fault != NULL, "%s was taken", heads[_i].text);
    ck_assert_int_eq(fault->status, heads[_i].status);
    ck_assert_msg(
        strstr(fault->message, heads[_i].words) != NULL, "'%s' does not tell of '%s'", fault->message, heads[_i].words);
}
END_TEST

START_TEST(takes_it_apart)
{
    static const char text[] =
        "POST /v1/x?a=b&c HTTP/1.1\r\nHost: h:80\r\nContent-Length: 12\r\nX:  padded \t\r\nConnection: Close\r\n\r\n";
    struct head head;
    ck_assert_ptr_null(head_read(&head, text, sizeof text - 1));
    ck_assert_str_eq(head.method, "POST");
    ck_assert_str_eq(head.target, "/v1/x");
    ck_assert_str_eq(head.query, "a=b&c");
    ck_assert_str_eq(head.host, "h:80");
    ck_assert_str_eq(head_field(&head, "x"), "padded");
    ck_assert_ptr_null(head_field(&head, "y"));
    ck_assert_uint_eq(head.content_length, 12);
    ck_assert_int_eq(head.body, HEAD_BODY_LENGTH);
    ck_assert(!head.keep_alive);
    head_done(&head);
}
END_TEST

START_TEST(limits_are_kept)
{
    struct head head;
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    buffer_puts(&text, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 99; i++)
        buffer_printf(&text, "X%d: 1\r\n", i);
    size_t hundred = text.length;
    buffer_puts(&text, "\r\n");
    ck_assert_ptr_null(head_read(&head, text.data, text.length));
    ck_assert_uint_eq(head.count, 100);
    head_done(&head);
    text.length = hundred;
    buffer_puts(&text, "Y: 1\r\n\r\n");
    ck_assert_ptr_eq(head_read(&head, text.data, text.length), &head_fault_too_many);
    char words[200];
    head_fault_text(&head_fault_too_many, words, sizeof words);
    ck_assert_msg(strstr(words, "limit headers: 100") != NULL, "%s", words);
    for (int i = 0; i < 2000; i++)
        buffer_puts(&text, "0123456789");
    ck_assert_ptr_eq(head_read(&head, text.data, text.length), &head_fault_too_large);
}
END_TEST

START_TEST(end_is_found_in_pieces)
{
    static const char text[] = "GET / HTTP/1.1\r\nA: \r\r\n\r\nrest\r\n\r\n";
    for (size_t first = 0; first < sizeof text - 1; first++) {
        size_t end = head_end(text, first, 0);
        if (end == 0)
            end = head_end(text, sizeof text - 1, first);
        ck_assert_uint_eq(end, 24);
    }
}
END_TEST

/* As CivetWeb 1.15 cuts "GET /a?b HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n". */
START_TEST(civetwebs_pieces_become_the_head)
{
    char text[] = "GET /a?b HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n";
    static const char cut[] = "GET\0/a\0b\0HTTP/1.1\0\0Host\0 h\0\0X\0\0 y\0\0\r";
    struct mg_request_info info = {.num_headers = 2};
    char buffer[64] = {0};
    memcpy(buffer, cut, sizeof cut);
    info.request_method = buffer;
    info.request_uri = buffer + 4;
    info.query_string = buffer + 7;
    info.http_version = buffer + 14;
    info.http_headers[0] = (struct mg_header){buffer + 19, buffer + 25};
    info.http_headers[1] = (struct mg_header){buffer + 28, buffer + 32};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    civet_head(&info, 1000, &out);
    ck_assert_str_eq(out.data, text);
}
END_TEST

static bool frames(const char *head_text, const char *body, size_t *ret_used, struct framing *ret_framing)
{
    struct head head;
    ck_assert_ptr_null(head_read(&head, head_text, strlen(head_text)));
    *ret_framing = framing_of(&head);
    head_done(&head);
    /* Byte by byte gives the same as all at once. */
    struct framing slow = *ret_framing;
    bool slow_fine = true;
    for (size_t i = 0; i < strlen(body) && slow_fine && slow.state != FRAMING_DONE; i++) {
        size_t one;
        slow_fine = framing_take(&slow, body + i, 1, &one);
    }
    bool fine = framing_take(ret_framing, body, strlen(body), ret_used);
    ck_assert_int_eq(fine, slow_fine);
    if (fine)
        ck_assert_int_eq(slow.state, ret_framing->state);
    return fine;
}

#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

START_TEST(framing_finds_the_end)
{
    struct framing framing;
    size_t used;
    ck_assert(frames("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n", "abcGET", &used, &framing));
    ck_assert_uint_eq(used, 3);
    ck_assert(frames(CHUNKED, "3\r\nabc\r\n0\r\n\r\nGET", &used, &framing));
    ck_assert_uint_eq(used, 13);
    ck_assert_int_eq(framing.state, FRAMING_DONE);
    ck_assert(frames(CHUNKED, "a\r\n012", &used, &framing));
    ck_assert_int_ne(framing.state, FRAMING_DONE);
    static const char *const bad[] = {"\r\n", "g\r\n", "3 \r\nabc\r\n", "3;x=y\r\nabc\r\n", "3\nabc\n", "3\r\nabcd\r\n",
        "0\r\nX: y\r\n\r\n", "1000000000000000\r\n", "-1\r\n", "0x1\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!frames(CHUNKED, bad[i], &used, &framing), "%s", bad[i]);
}
END_TEST

START_TEST(tiny_chunks_are_refused)
{
    PDK_CLEANUP(buffer_done) struct buffer small = {0}, large = {0};
    for (int i = 0; i < 10000; i++) {
        buffer_puts(&small, "1\r\na\r\n");
        buffer_puts(&large, "14\r\n01234567890123456789\r\n");
    }
    struct framing framing;
    size_t used;
    ck_assert(!frames(CHUNKED, small.data, &used, &framing));
    ck_assert(frames(CHUNKED, large.data, &used, &framing));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head");
    TCase *tests = tcase_create("head");
    tcase_add_loop_test(tests, reads_and_refuses, 0, sizeof heads / sizeof heads[0]);
    tcase_add_test(tests, takes_it_apart);
    tcase_add_test(tests, limits_are_kept);
    tcase_add_test(tests, end_is_found_in_pieces);
    tcase_add_test(tests, civetwebs_pieces_become_the_head);
    tcase_add_test(tests, framing_finds_the_end);
    tcase_add_test(tests, tiny_chunks_are_refused);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
