/* Vectors and scores: what is refused, what reaches the runtime, and the forms of what comes back. */
#include "config.h"

#include "check_main.h"
#include "fake_exchange.h"

#include "core/gateway/pooling/pooling.h"
#include "core/gateway/pooling/vectors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    EMBED = 1 << PDK_POOL_EMBED,
    CLASSIFY = 1 << PDK_POOL_CLASSIFY,
    SCORE = 1 << PDK_POOL_SCORE,
    TOKENS = 1 << PDK_POOL_TOKEN_EMBED
};

#define VALUES(at, count_rows, count_columns, count_tokens, ...) \
    {                                                            \
        .index = (at), .is_part = true, .part = {                \
            .size = sizeof(pdk_part),                            \
            .values = (const float[]){__VA_ARGS__},              \
            .value_rows = (count_rows),                          \
            .value_columns = (count_columns),                    \
            .prompt_tokens = (count_tokens)                      \
        }                                                        \
    }
#define END(at)       \
    {                 \
        .index = (at) \
    }

static void play(struct exchange *exchange, void (*handle)(struct exchange *), uint32_t tasks, const char *body,
    const struct fake_event *events, size_t count)
{
    fake_init(exchange, "/", body);
    exchange->ready.extensions = READY_POOL | READY_TOKENIZE;
    exchange->ready.pooling_tasks = tasks;
    exchange->ready.pooled_size = 2;
    exchange->events = events;
    exchange->event_count = count;
    handle(exchange);
    ck_assert_uint_eq(exchange->replies, 1);
}

/* Refusals, by what the answer holds. */
static const struct {
    void (*handle)(struct exchange *exchange);
    uint32_t tasks;
    const char *body;
    int status;
    const char *holds;
} refusals[] = {
    {pooling_embeddings, EMBED, "{}", 400, "\"param\":\"body.input\""},
    {pooling_embeddings, EMBED, "{\"input\":5}", 400, "\"param\":\"body.input\""},
    {pooling_embeddings, EMBED, "{\"input\":[\"a\",5]}", 400, "\"param\":\"body.input.1\""},
    {pooling_embeddings, EMBED, "{\"input\":[99999]}", 400, "Token id 99999 is out of vocabulary"},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"encoding_format\":\"hex\"}", 400, "body.encoding_format"},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"embed_dtype\":\"int8\"}", 400, "body.embed_dtype"},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"endianness\":\"odd\"}", 400, "body.endianness"},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"normalize\":false}", 400,
        "Parameter `normalize` was removed; use `use_activation` instead."},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"dimensions\":1}", 400,
        "Model 'm' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=1)."},
    {pooling_embeddings, EMBED, "{\"input\":\"a\",\"truncate_prompt_tokens\":2049}", 400,
        "truncate_prompt_tokens=2049 cannot be greater than max_model_len = 2048."},
    {pooling_embeddings, EMBED, "{\"messages\":[]}", 400, "an empty conversation"},
    {pooling_embeddings, EMBED, "{\"model\":\"x\",\"input\":\"a\"}", 404, "The model `x` does not exist."},
    {pooling_embeddings, CLASSIFY, "{\"input\":\"a\"}", 404, "The model does not support Embeddings API"},
    {pooling_classify, EMBED, "{\"input\":\"a\"}", 404, "The model does not support Classification API"},
    {pooling_score, TOKENS, "{\"text_1\":\"a\",\"text_2\":\"b\"}", 404, "The model does not support Score API"},
    {pooling_pool, EMBED, "{\"input\":\"a\",\"task\":\"score\"}", 400, "use /score"},
    {pooling_pool, EMBED, "{\"input\":\"a\",\"task\":\"encode\"}", 400, "use token_embed or token_classify"},
    {pooling_pool, EMBED, "{\"input\":\"a\",\"task\":\"swim\"}", 400, "\"param\":\"body.task\""},
    {pooling_pool, EMBED, "{\"input\":\"a\",\"task\":\"token_embed\"}", 404, "does not support Pooling API"},
    {pooling_pool, EMBED, "{\"input\":\"a\",\"dimensions\":2}", 400, "dimensions is currently not supported"},
    {pooling_score, SCORE, "{\"text_2\":\"b\"}", 400, "\"param\":\"body.text_1\""},
    {pooling_score, SCORE, "{\"text_1\":\"b\"}", 400, "\"param\":\"body.text_2\""},
    {pooling_score, SCORE, "{\"text_1\":[\"a\",1],\"text_2\":\"b\"}", 400, "\"param\":\"body.text_1.1\""},
    {pooling_score, SCORE, "{\"text_1\":[\"a\",\"b\"],\"text_2\":\"b\"}", 400,
        "Input lengths must be either 1:1, 1:N or N:N"},
    {pooling_score, SCORE, "{\"text_1\":[],\"text_2\":\"b\"}", 400, "At least one text element must be given"},
    {pooling_score, SCORE, "{\"text_1\":\"a\",\"text_2\":[]}", 400, "At least one text_pair element must be given"},
    {pooling_rerank, SCORE, "{\"query\":[\"a\"],\"documents\":[\"b\"]}", 400, "\"param\":\"body.query\""},
    {pooling_rerank, SCORE, "{\"query\":\"a\",\"documents\":[\"b\"],\"top_n\":-1}", 400, "body.top_n"},
    {pooling_rerank, SCORE, "{\"query\":\"a\",\"documents\":[\"b\"],\"max_tokens_per_doc\":4096}", 400,
        "max_tokens_per_doc=4096 cannot be greater than max_model_len=2048."},
    {pooling_rerank, SCORE, "{\"query\":\"a\",\"documents\":[\"b\"],\"chat_template\":\"x\"}", 400, "untrusted"},
};

START_TEST(wrong_requests_are_refused)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct exchange exchange;
        play(&exchange, refusals[i].handle, refusals[i].tasks, refusals[i].body, NULL, 0);
        ck_assert_msg(exchange.status == refusals[i].status && exchange.added == 0 &&
                          strstr(exchange.reply.data, refusals[i].holds) != NULL,
            "%s\n gives %d %s", refusals[i].body, exchange.status, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

static const struct fake_event two[] = {VALUES(1, 1, 2, 3, 0.25f, -1), VALUES(0, 1, 2, 2, 0.5f, 1), END(1), END(0)};

START_TEST(embeddings_come_in_the_order_of_their_inputs)
{
    struct exchange exchange;
    play(&exchange, pooling_embeddings, EMBED, "{\"input\":[\"a\",\"b\"]}", two, 4);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"embd-0123456789abcdef\",\"object\":\"list\","));
    ck_assert_ptr_nonnull(strstr(exchange.reply.data,
        "\"model\":\"m\",\"data\":[{\"index\":0,\"object\":\"embedding\",\"embedding\":[0.5,1.0]},{\"index\":1,"
        "\"object\":\"embedding\",\"embedding\":[0.25,-1.0]}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5,"
        "\"completion_tokens\":0,\"prompt_tokens_details\":null,\"completion_tokens_details\":null}}"));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "kind=5 text=a "));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "pool=1/-1/0/0/0"));
    fake_done(&exchange);
}
END_TEST

START_TEST(numbers_come_as_asked)
{
    static const struct {
        const char *fields, *holds;
    } forms[] = {
        {"\"encoding_format\":\"base64\"", "\"embedding\":\"AAAAPwAAgD8=\""},
        {"\"encoding_format\":\"base64\",\"endianness\":\"big\"", "\"embedding\":\"PwAAAD+AAAA=\""},
        {"\"encoding_format\":\"base64\",\"embed_dtype\":\"float16\"", "\"embedding\":\"ADgAPA==\""},
        {"\"encoding_format\":\"base64\",\"embed_dtype\":\"bfloat16\"", "\"embedding\":\"AD+APw==\""},
        {"\"encoding_format\":\"base64\",\"embed_dtype\":\"fp8_e4m3\"", "\"embedding\":\"MDg=\""},
        {"\"encoding_format\":\"base64\",\"embed_dtype\":\"fp8_e5m2\"", "\"embedding\":\"ODw=\""},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct exchange exchange;
        char body[160];
        snprintf(body, sizeof body, "{\"input\":[\"a\",\"b\"],%s}", forms[i].fields);
        play(&exchange, pooling_embeddings, EMBED, body, two, 4);
        ck_assert_msg(
            strstr(exchange.reply.data, forms[i].holds) != NULL, "%s gives %s", forms[i].fields, exchange.reply.data);
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(bytes_come_with_a_header_that_tells_of_them)
{
    struct exchange exchange;
    play(&exchange, pooling_embeddings, EMBED,
        "{\"input\":[\"a\",\"b\"],\"encoding_format\":\"bytes\",\"embed_dtype\":\"float16\"}", two, 4);
    ck_assert_str_eq(exchange.type, "application/octet-stream");
    ck_assert_uint_eq(exchange.reply.length, 8);
    ck_assert_mem_eq(exchange.reply.data, "\x00\x38\x00\x3C\x00\x34\x00\xBC", 8);
    ck_assert_ptr_nonnull(strstr(exchange.headers.data,
        "{\"index\":1,\"embed_dtype\":\"float16\",\"endianness\":\"native\",\"start\":4,\"end\":8,\"shape\":[2]}"));
    fake_done(&exchange);
    play(&exchange, pooling_embeddings, EMBED, "{\"input\":[\"a\",\"b\"],\"encoding_format\":\"bytes_only\"}", two, 4);
    ck_assert_uint_eq(exchange.reply.length, 16);
    ck_assert_uint_eq(exchange.headers.length, 0);
    fake_done(&exchange);
}
END_TEST

START_TEST(dimensions_are_the_models)
{
    struct exchange exchange;
    static const struct {
        const char *dimensions;
        uint32_t listed;
        int status;
        const char *holds;
    } rows[] = {{"1", 0, 200, "pool=1/-1/1/0/0"}, {"3", 0, 400, "dimensions must be in [1, 2], got 3."},
        {"1", 2, 400, "Model 'm' only supports [2] matryoshka dimensions"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[80];
        snprintf(body, sizeof body, "{\"input\":[\"a\",\"b\"],\"dimensions\":%s}", rows[i].dimensions);
        fake_init(&exchange, "/v1/embeddings", body);
        exchange.ready.extensions = READY_POOL;
        exchange.ready.pooling_tasks = EMBED;
        exchange.ready.pooled_size = 2;
        exchange.ready.matryoshka = true;
        exchange.ready.dimension_count = rows[i].listed != 0;
        exchange.ready.dimensions[0] = rows[i].listed;
        exchange.events = two;
        exchange.event_count = 4;
        pooling_embeddings(&exchange);
        ck_assert_int_eq(exchange.status, rows[i].status);
        ck_assert_ptr_nonnull(strstr(rows[i].status == 200 ? exchange.seen.data : exchange.reply.data, rows[i].holds));
        fake_done(&exchange);
    }
}
END_TEST

START_TEST(a_conversation_is_embedded_without_an_opening)
{
    const struct fake_event one[] = {VALUES(0, 1, 1, 4, 1), END(0)};
    struct exchange exchange;
    play(&exchange, pooling_embeddings, EMBED,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"chat_template_kwargs\":{\"a\":1}}", one, 2);
    ck_assert_int_eq(exchange.status, 200);
    ck_assert_uint_eq(exchange.flags, PDK_FLAG_NO_GENERATION_PROMPT | PDK_FLAG_TRUNCATE_RIGHT);
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "vars={\"a\":1}"));
    fake_done(&exchange);
}
END_TEST

START_TEST(rows_by_token_are_lists_of_lists)
{
    const struct fake_event rows[] = {VALUES(0, 1, 2, 2, 1, 2), VALUES(0, 1, 2, 2, 3, 4), END(0)};
    struct exchange exchange;
    play(&exchange, pooling_pool, TOKENS | EMBED, "{\"input\":\"a\",\"task\":\"token_embed\"}", rows, 3);
    ck_assert_ptr_nonnull(
        strstr(exchange.reply.data, "\"data\":[{\"index\":0,\"object\":\"pooling\",\"data\":[[1.0,2.0],[3.0,4.0]]}]"));
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"pooling-"));
    fake_done(&exchange);
    play(&exchange, pooling_pool, EMBED, "{\"input\":\"a\"}", rows, 3);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "\"data\":[1.0,2.0,3.0,4.0]"));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "pool=0/-1/"));
    fake_done(&exchange);
}
END_TEST

START_TEST(classes_have_names_and_probabilities)
{
    const struct fake_event one[] = {VALUES(0, 1, 3, 4, 0.25f, 0.5f, 0.25f), END(0)};
    static char *labels[] = {(char *)"no", (char *)"yes", (char *)"perhaps"};
    struct exchange exchange;
    play(&exchange, pooling_classify, CLASSIFY, "{\"input\":\"a\"}", one, 2);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"classify-"));
    ck_assert_ptr_nonnull(strstr(
        exchange.reply.data, "\"data\":[{\"index\":0,\"label\":null,\"probs\":[0.25,0.5,0.25],\"num_classes\":3}]"));
    fake_done(&exchange);
    fake_init(&exchange, "/classify", "{\"input\":\"a\",\"use_activation\":false}");
    exchange.ready.extensions = READY_POOL;
    exchange.ready.pooling_tasks = CLASSIFY;
    exchange.ready.class_count = 3;
    exchange.ready.class_labels = labels;
    exchange.events = one;
    exchange.event_count = 2;
    pooling_classify(&exchange);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "\"label\":\"yes\""));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "pool=2/0/0/0/0"));
    fake_done(&exchange);
}
END_TEST

START_TEST(pairs_are_scored_by_the_model)
{
    const struct fake_event scores[] = {
        VALUES(0, 1, 1, 5, 0.25f), VALUES(1, 1, 1, 6, 0.75f), VALUES(2, 1, 1, 7, 0.5f), END(0), END(1), END(2)};
    struct exchange exchange;
    play(&exchange, pooling_score, SCORE, "{\"text_1\":\"q\",\"text_2\":[\"a\",\"b\",\"c\"]}", scores, 6);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "{\"id\":\"score-"));
    ck_assert_ptr_nonnull(strstr(exchange.reply.data,
        "\"data\":[{\"index\":0,\"object\":\"score\",\"score\":0.25},{\"index\":1,\"object\":\"score\",\"score\":0.75},"
        "{\"index\":2,\"object\":\"score\",\"score\":0.5}],\"usage\":{\"prompt_tokens\":18,"));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "text=q pair=b "));
    fake_done(&exchange);
    play(&exchange, pooling_rerank, SCORE,
        "{\"query\":\"q\",\"documents\":[\"a\",\"b\",\"c\"],\"top_n\":2,\"max_tokens_per_query\":7,"
        "\"max_tokens_per_doc\":9,\"instruction\":\"i\"}",
        scores, 6);
    ck_assert_str_eq(exchange.reply.data,
        "{\"id\":\"score-0123456789abcdef\",\"model\":\"m\",\"usage\":{\"prompt_tokens\":18,\"total_tokens\":18},"
        "\"results\":[{\"index\":1,\"document\":{\"text\":\"b\",\"multi_modal\":null},\"relevance_score\":0.75},"
        "{\"index\":2,\"document\":{\"text\":\"c\",\"multi_modal\":null},\"relevance_score\":0.5}]}");
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "vars={\"instruction\":\"i\"}"));
    ck_assert_ptr_nonnull(strstr(exchange.seen.data, "pool=3/-1/0/7/9"));
    fake_done(&exchange);
}
END_TEST

START_TEST(a_text_is_embedded_once)
{
    /* The shorter text goes first: "a", then "bb". */
    const struct fake_event vectors[] = {VALUES(0, 1, 2, 3, 1, 0), VALUES(1, 1, 2, 4, 0, 2), END(0), END(1)};
    struct exchange exchange;
    fake_init(&exchange, "/score", "{\"queries\":[\"a\",\"bb\",\"a\"],\"documents\":[\"a\",\"a\",\"a\"]}");
    exchange.ready.extensions = READY_POOL;
    exchange.ready.pooling_tasks = EMBED;
    exchange.ready.scores_pairs_by_cosine = true;
    exchange.events = vectors;
    exchange.event_count = 4;
    pooling_score(&exchange);
    ck_assert_uint_eq(exchange.added, 2);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data,
        "[{\"index\":0,\"object\":\"score\",\"score\":1.0},{\"index\":1,\"object\":\"score\",\"score\":0.0},"
        "{\"index\":2,\"object\":\"score\",\"score\":1.0}],\"usage\":{\"prompt_tokens\":19,"));
    fake_done(&exchange);
}
END_TEST

START_TEST(failures_of_one_input_end_the_answer)
{
    const struct fake_event late[] = {VALUES(0, 1, 1, 1, 1), END(0),
        {.index = 1, .status = PDK_INVALID, .field = "input_tokens", .message = "too long"}};
    const struct fake_event nothing[] = {END(0), END(1)};
    struct exchange exchange;
    play(&exchange, pooling_embeddings, EMBED, "{\"input\":[\"a\",\"b\"]}", late, 3);
    ck_assert_int_eq(exchange.status, 400);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "too long (parameter=input_tokens)"));
    fake_done(&exchange);
    play(&exchange, pooling_embeddings, EMBED, "{\"input\":[\"a\",\"b\"]}", nothing, 2);
    ck_assert_int_eq(exchange.status, 500);
    ck_assert_ptr_nonnull(strstr(exchange.reply.data, "no vector for input 0"));
    fake_done(&exchange);
}
END_TEST

/* Every pattern of a small format reads back to itself, and halves between two go to the even one. */
START_TEST(narrow_numbers_are_the_nearest)
{
    ck_assert_uint_eq(vector_narrow(448, 4, 3, true), 0x7E);
    ck_assert_uint_eq(vector_narrow(1e6f, 4, 3, true), 0x7F);
    ck_assert_uint_eq(vector_narrow(-INFINITY, 5, 10, false), 0xFC00);
    ck_assert_uint_eq(vector_narrow(65504, 5, 10, false), 0x7BFF);
    ck_assert_uint_eq(vector_narrow(65520, 5, 10, false), 0x7C00);
    ck_assert_uint_eq(vector_narrow(-0.0f, 5, 10, false), 0x8000);
    ck_assert_uint_eq(vector_narrow(NAN, 5, 2, false) & 0x7F, 0x7F);
    ck_assert_uint_eq(vector_narrow(5.9604645e-8f, 5, 10, false), 1);    /* the smallest half */
    ck_assert_uint_eq(vector_narrow(2.9802322e-8f, 5, 10, false), 0);    /* half of it: to even */
    ck_assert_uint_eq(vector_narrow(6.097555e-5f, 5, 10, false), 0x3FF); /* the largest below the normal ones */
    ck_assert_uint_eq(vector_narrow(1 + 1.0f / 2048, 5, 10, false), 0x3C00);
    ck_assert_uint_eq(vector_narrow(1 + 3.0f / 2048, 5, 10, false), 0x3C02);
    ck_assert_uint_eq(vector_narrow(3.3895314e38f, 8, 7, false), 0x7F7F);
    for (unsigned bits = 0; bits < 0x7C00; bits++) {
        unsigned exponent = bits >> 10, mantissa = bits & 0x3FF;
        float value =
            exponent == 0 ? ldexpf((float)mantissa, -24) : ldexpf((float)(mantissa | 0x400), (int)exponent - 25);
        ck_assert_uint_eq(vector_narrow(value, 5, 10, false), bits);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pooling");
    TCase *tests = tcase_create("pooling");
    tcase_add_test(tests, wrong_requests_are_refused);
    tcase_add_test(tests, embeddings_come_in_the_order_of_their_inputs);
    tcase_add_test(tests, numbers_come_as_asked);
    tcase_add_test(tests, bytes_come_with_a_header_that_tells_of_them);
    tcase_add_test(tests, dimensions_are_the_models);
    tcase_add_test(tests, a_conversation_is_embedded_without_an_opening);
    tcase_add_test(tests, rows_by_token_are_lists_of_lists);
    tcase_add_test(tests, classes_have_names_and_probabilities);
    tcase_add_test(tests, pairs_are_scored_by_the_model);
    tcase_add_test(tests, a_text_is_embedded_once);
    tcase_add_test(tests, failures_of_one_input_end_the_answer);
    tcase_add_test(tests, narrow_numbers_are_the_nearest);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
