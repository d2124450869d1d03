/* plugins/cpu: routing, experts and latent attention of every instruction set that the machine has, against
 * kernels/reference over random shapes; and that a row's numbers are its own, whatever the batch and the threads. */
#include "config.h"

#include "ops_rig.h"

#include "check_main.h"

enum { ROUNDS = 20, ROWS_MAX = 64, EXPERTS_MAX = 16, CHOSEN_MAX = 4 };

/* Weights of experts, as the backend and as the reference take them. */
struct set {
    pdk_matrix gate[EXPERTS_MAX], up[EXPERTS_MAX], down[EXPERTS_MAX];
    struct reference_matrix plain_gate[EXPERTS_MAX], plain_up[EXPERTS_MAX], plain_down[EXPERTS_MAX];
    pdk_weight *first[EXPERTS_MAX], *second[EXPERTS_MAX];
    uint32_t experts, chosen, hidden, inner;
    float *up_bias, *down_bias;
    pdk_vector *up_vector, *down_vector;
};

static void set_new(struct set *set, struct rig *rig, struct random *random, int type)
{
    uint32_t block = (uint32_t)weight_block(type);
    set->experts = 1 + random_below(random, EXPERTS_MAX);
    set->chosen = 1 + random_below(random, set->experts < CHOSEN_MAX ? set->experts : CHOSEN_MAX);
    set->hidden = block == 1 ? 1 + random_below(random, 100) : block * (1 + random_below(random, 3));
    set->inner = block == 1 ? 1 + random_below(random, 100) : block * (1 + random_below(random, 3));
    for (uint32_t e = 0; e < set->experts; e++) {
        set->gate[e] = random_matrix(random, type, set->inner, set->hidden);
        set->up[e] = random_matrix(random, type, set->inner, set->hidden);
        set->down[e] = random_matrix(random, type, set->hidden, set->inner);
        set->plain_gate[e] = plain_matrix(&set->gate[e]);
        set->plain_up[e] = plain_matrix(&set->up[e]);
        set->plain_down[e] = plain_matrix(&set->down[e]);
        const pdk_matrix both[] = {set->gate[e], set->up[e]};
        set->first[e] = rig_weight(rig, both, 2, PDK_WEIGHT_GATED);
        set->second[e] = rig_weight(rig, &set->down[e], 1, PDK_WEIGHT_LINEAR);
    }
    set->up_bias = random_floats(random, (size_t)set->experts * 2 * set->inner, 1);
    set->down_bias = random_floats(random, (size_t)set->experts * set->hidden, 1);
    set->up_vector = rig_vector(rig, set->up_bias, (size_t)set->experts * 2 * set->inner);
    set->down_vector = rig_vector(rig, set->down_bias, (size_t)set->experts * set->hidden);
}

static void set_free(struct set *set, struct rig *rig)
{
    for (uint32_t e = 0; e < set->experts; e++) {
        rig->ops->weight_free(rig->self, set->first[e]);
        rig->ops->weight_free(rig->self, set->second[e]);
        free((void *)(uintptr_t)set->gate[e].data);
        free((void *)(uintptr_t)set->up[e].data);
        free((void *)(uintptr_t)set->down[e].data);
    }
    rig->ops->vector_free(rig->self, set->up_vector);
    rig->ops->vector_free(rig->self, set->down_vector);
    free(set->up_bias);
    free(set->down_bias);
}

static pdk_route random_route(struct random *random, uint32_t experts)
{
    pdk_route route = {.experts = experts,
        .score = (int32_t)random_below(random, 3),
        .normalise = (int32_t)random_below(random, 2),
        .scale = random_below(random, 2) != 0 ? 2.5f : 1.0f};
    for (uint32_t groups = 2 + random_below(random, 3); route.score != PDK_SCORE_CHOSEN && groups <= experts; groups++)
        if (experts % groups == 0 && experts / groups >= 2) {
            route.groups = groups;
            route.groups_chosen = 1 + random_below(random, groups);
            route.group_score = (int32_t)random_below(random, 2);
            break;
        }
    uint32_t most = route.groups != 0 ? experts / route.groups * route.groups_chosen : experts;
    route.chosen = 1 + random_below(random, most < 8 ? most : 8);
    return route;
}

static struct reference_route plain_route(const pdk_route *route, const float *correction)
{
    return (struct reference_route){
        .correction = correction,
        .experts = route->experts,
        .chosen = route->chosen,
        .groups = route->groups,
        .groups_chosen = route->groups_chosen,
        .score = route->score,
        .two_of_group = route->group_score == PDK_GROUP_TOP_TWO,
        .normalise = route->normalise != 0,
        .scale = route->scale,
    };
}

static void check_route(struct rig *rig, struct random *random, bool ties)
{
    struct plain_batch plain;
    uint32_t rows = 1 + random_below(random, 20), experts = 1 + random_below(random, 130);
    pdk_route route = random_route(random, experts);
    float *products = random_floats(random, (size_t)rows * experts, 2), *bias = random_floats(random, experts, 0.2f);
    float found[16], expected[16];
    for (size_t i = 0; ties && i < (size_t)rows * experts; i++)
        products[i] = (float)(int)products[i];
    bool corrects = !ties && route.score != PDK_SCORE_CHOSEN && random_below(random, 2) != 0;
    pdk_rows *in = rig_rows(rig, rows, experts, products), *out = rig_rows(rig, rows, 2 * route.chosen, NULL);
    pdk_vector *correction = rig_vector(rig, bias, experts);
    route.products = in;
    route.out = out;
    route.correction = corrects ? correction : NULL;
    plain_batch_set(&plain, &rig->batch, rows);
    rig_begin(rig);
    rig->ops->route(rig->queue, &route);
    rig_run(rig);
    const struct reference_route task = plain_route(&route, corrects ? bias : NULL);
    for (uint32_t r = 0; r < rows; r++) {
        rig->ops->rows_read(rig->self, out, r, 1, found);
        reference_route(&task, products + (size_t)r * experts, expected);
        assert_same(found, expected, route.chosen, "experts");
        assert_near(found + route.chosen, expected + route.chosen, route.chosen, 2e-6, "weights");
    }
    rig->ops->rows_free(rig->self, in);
    rig->ops->rows_free(rig->self, out);
    rig->ops->vector_free(rig->self, correction);
    free(products);
    free(bias);
}

START_TEST(routes_are_chosen_by_the_rules)
{
    if (!rig_has(_i))
        return;
    struct rig rig = rig_open(_i, 2, ROWS_MAX);
    struct random random = {(uint64_t)_i + 1};
    for (int round = 0; round < 10 * ROUNDS; round++)
        check_route(&rig, &random, round % 4 == 0);
    rig_close(&rig);
}
END_TEST

/* What is no number still gives different experts, so that nothing is written twice or out of bounds. */
START_TEST(a_route_of_no_numbers_is_a_choice)
{
    if (!rig_has(_i))
        return;
    struct rig rig = rig_open(_i, 1, 4);
    struct plain_batch plain;
    float products[8], found[8];
    for (int i = 0; i < 8; i++)
        products[i] = NAN;
    pdk_route route = {.experts = 8, .chosen = 4, .groups = 4, .groups_chosen = 2, .group_score = PDK_GROUP_TOP_TWO};
    pdk_rows *in = rig_rows(&rig, 1, 8, products), *out = rig_rows(&rig, 1, 8, NULL);
    route.products = in;
    route.out = out;
    route.scale = 1;
    plain_batch_set(&plain, &rig.batch, 1);
    rig_begin(&rig);
    rig.ops->route(rig.queue, &route);
    rig_run(&rig);
    rig.ops->rows_read(rig.self, out, 0, 1, found);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            ck_assert(found[i] >= 0 && found[i] < 8 && found[i] != found[k]);
    rig.ops->rows_free(rig.self, in);
    rig.ops->rows_free(rig.self, out);
    rig_close(&rig);
}
END_TEST

/* Random choices of different experts, ascending in neither row nor expert. */
static float *random_choices(struct random *random, const struct set *set, uint32_t rows)
{
    float *route = random_floats(random, (size_t)rows * 2 * set->chosen, 1);
    for (uint32_t r = 0; r < rows; r++) {
        float *row = route + (size_t)r * 2 * set->chosen;
        uint32_t first = random_below(random, set->experts);
        for (uint32_t c = 0; c < set->chosen; c++)
            row[c] = (float)((first + (set->chosen - c)) % set->experts);
    }
    return route;
}

/* One step of both halves; `out` gets rows x hidden. */
static void run_experts(struct rig *rig, const struct set *set, uint32_t rows, const float *x, const float *route,
    int32_t activation, bool biased, float *inner, float *out)
{
    struct plain_batch plain;
    pdk_rows *in = rig_rows(rig, rows, set->hidden, x), *chosen = rig_rows(rig, rows, 2 * set->chosen, route);
    pdk_rows *middle = rig_rows(rig, rows * set->chosen, set->inner, NULL), *to = rig_rows(rig, rows, set->hidden, x);
    const pdk_experts_up up = {.in = in,
        .route = chosen,
        .weights = (const pdk_weight *const *)set->first,
        .bias = biased ? set->up_vector : NULL,
        .out = middle,
        .experts = set->experts,
        .chosen = set->chosen,
        .activation = activation,
        .alpha = 1.702f,
        .limit = 2};
    const pdk_experts_down down = {.in = middle,
        .route = chosen,
        .weights = (const pdk_weight *const *)set->second,
        .bias = biased ? set->down_vector : NULL,
        .residual = to,
        .out = to,
        .experts = set->experts,
        .chosen = set->chosen,
        .scale = 0.5f};
    plain_batch_set(&plain, &rig->batch, rows);
    rig_begin(rig);
    rig->ops->experts_up(rig->queue, &up);
    rig->ops->experts_down(rig->queue, &down);
    rig_run(rig);
    if (inner != NULL)
        rig->ops->rows_read(rig->self, middle, 0, rows * set->chosen, inner);
    rig->ops->rows_read(rig->self, to, 0, rows, out);
    pdk_rows *all[] = {in, chosen, middle, to};
    for (int i = 0; i < 4; i++)
        rig->ops->rows_free(rig->self, all[i]);
}

static void check_experts(struct rig *rig, struct random *random, int type)
{
    static const int32_t activations[] = {PDK_ACT_SILU, PDK_ACT_GELU_TANH, PDK_ACT_CLAMPED};
    struct set set;
    set_new(&set, rig, random, type);
    uint32_t rows = 1 + random_below(random, ROWS_MAX);
    int32_t activation = activations[random_below(random, 3)];
    bool biased = random_below(random, 2) != 0;
    float *x = random_floats(random, (size_t)rows * set.hidden, 1), *route = random_choices(random, &set, rows);
    size_t middle = (size_t)rows * set.chosen * set.inner, count = (size_t)rows * set.hidden;
    float *inner = random_floats(random, middle, 0), *expected_inner = random_floats(random, middle, 0);
    float *found = random_floats(random, count, 0), *expected = random_floats(random, count, 0);
    run_experts(rig, &set, rows, x, route, activation, biased, inner, found);

    const struct reference_experts task = {.gates = set.plain_gate,
        .ups = set.plain_up,
        .bias = biased ? set.up_bias : NULL,
        .activation = activation,
        .clamped = activation == PDK_ACT_CLAMPED,
        .alpha = 1.702f,
        .limit = 2};
    for (size_t r = 0; r < rows; r++) {
        const float *chosen = route + r * 2 * set.chosen;
        float *middles = expected_inner + r * set.chosen * set.inner;
        for (size_t c = 0; c < set.chosen; c++)
            reference_expert_up(&task, (size_t)chosen[c], x + r * set.hidden, middles + c * set.inner);
        reference_experts_down(
            set.plain_down, biased ? set.down_bias : NULL, set.chosen, chosen, middles, expected + r * set.hidden);
        for (size_t n = 0; n < set.hidden; n++)
            expected[r * set.hidden + n] = x[r * set.hidden + n] + 0.5f * expected[r * set.hidden + n];
    }
    assert_near(inner, expected_inner, middle, 6e-6, "inner");
    assert_near(found, expected, count, 1e-5, "experts");
    float *all[] = {x, route, inner, expected_inner, found, expected};
    for (int i = 0; i < 6; i++)
        free(all[i]);
    set_free(&set, rig);
}

START_TEST(experts_are_the_references)
{
    static const int types[] = {WEIGHT_F32, WEIGHT_BF16, WEIGHT_Q8_0, WEIGHT_Q4_0};
    if (!rig_has(_i))
        return;
    struct rig rig = rig_open(_i, 2, ROWS_MAX);
    struct random random = {(uint64_t)_i + 20};
    for (int round = 0; round < ROUNDS; round++)
        check_experts(&rig, &random, types[round % 4]);
    rig_close(&rig);
}
END_TEST

START_TEST(experts_of_a_row_are_its_own)
{
    if (!rig_has(_i))
        return;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct rig rig = rig_open(_i, threads, ROWS_MAX);
        struct random random = {(uint64_t)_i + 40};
        struct set set;
        set_new(&set, &rig, &random, WEIGHT_Q8_0);
        float *x = random_floats(&random, (size_t)ROWS_MAX * set.hidden, 1);
        float *route = random_choices(&random, &set, ROWS_MAX), *alone = random_floats(&random, set.hidden, 0);
        float *together = random_floats(&random, (size_t)ROWS_MAX * set.hidden, 0);
        run_experts(&rig, &set, ROWS_MAX, x, route, PDK_ACT_SILU, true, NULL, together);
        for (size_t r = 0; r < ROWS_MAX; r++) {
            run_experts(&rig, &set, 1, x + r * set.hidden, route + r * 2 * set.chosen, PDK_ACT_SILU, true, NULL, alone);
            assert_same(together + r * set.hidden, alone, set.hidden, "alone");
        }
        free(x);
        free(route);
        free(alone);
        free(together);
        set_free(&set, &rig);
        rig_close(&rig);
    }
}
END_TEST

/* Latent attention of one sequence whose rows come `chunk` a step. */
struct latent {
    uint32_t rows, heads, nope, rope, rank, value;
    float *queries, *vectors; /* before they are turned */
    struct reference_matrix keys[8], values[8];
    float *frequencies;
    int32_t type, order;
};

enum { TABLE = 32, CONTEXT_MAX = 24 * BLOCK_TOKENS };

static void latent_new(struct latent *latent, struct random *random, uint32_t rows, int32_t type)
{
    *latent = (struct latent){.rows = rows, .heads = 1 + random_below(random, 8), .type = type};
    latent->nope = 1 + random_below(random, 70);
    latent->rope = 2 * (1 + random_below(random, 20));
    latent->rank = 1 + random_below(random, 100);
    latent->value = 1 + random_below(random, 50);
    latent->order = (int32_t)random_below(random, 2);
    latent->queries = random_floats(random, (size_t)rows * latent->heads * (latent->nope + latent->rope), 1);
    latent->vectors = random_floats(random, (size_t)rows * (latent->rank + latent->rope), 1);
    latent->frequencies = random_floats(random, latent->rope / 2, 0.5f);
    for (uint32_t h = 0; h < latent->heads; h++) {
        pdk_matrix keys = random_matrix(random, WEIGHT_F32, latent->rank, latent->nope);
        pdk_matrix values = random_matrix(random, WEIGHT_F32, latent->value, latent->rank);
        latent->keys[h] = plain_matrix(&keys);
        latent->values[h] = plain_matrix(&values);
    }
}

static void latent_free(struct latent *latent)
{
    for (uint32_t h = 0; h < latent->heads; h++) {
        free((void *)(uintptr_t)latent->keys[h].data);
        free((void *)(uintptr_t)latent->values[h].data);
    }
    free(latent->queries);
    free(latent->vectors);
    free(latent->frequencies);
}

static pdk_weight *matrix_weight(struct rig *rig, const struct reference_matrix *plain)
{
    const pdk_matrix matrix = {
        .type = plain->type, .rows = (uint32_t)plain->rows, .columns = (uint32_t)plain->columns, .data = plain->data};
    return rig_weight(rig, &matrix, 1, PDK_WEIGHT_LINEAR);
}

/* Block b of the sequence lies where table[b] says. */
static void make_table(uint32_t table[TABLE])
{
    for (uint32_t b = 0; b < TABLE; b++)
        table[b] = (b * 7 + 3) % TABLE;
}

/* Runs all rows, `chunk` at a time; out: [rows][heads * value]. */
static void run_latent(struct rig *rig, const struct latent *latent, uint32_t chunk, float *out)
{
    uint32_t table[TABLE], slots[ROWS_MAX], positions[ROWS_MAX], sequence_of[ROWS_MAX] = {0};
    uint32_t head = latent->nope + latent->rope, width = latent->rank + latent->rope;
    pdk_weight *keys[8], *values[8];
    pdk_kv *kv = NULL;
    const pdk_kv_shape shape = {.layers = 2, .type = latent->type, .latent = width, .latent_rank = latent->rank};
    make_table(table);
    ck_assert_int_eq(rig->ops->kv_new(rig->self, &shape, TABLE, &kv, NULL), PDK_OK);
    for (uint32_t h = 0; h < latent->heads; h++) {
        keys[h] = matrix_weight(rig, &latent->keys[h]);
        values[h] = matrix_weight(rig, &latent->values[h]);
    }
    pdk_vector *frequencies = rig_vector(rig, latent->frequencies, latent->rope / 2);
    pdk_rows *queries = rig_rows(rig, ROWS_MAX, latent->heads * head, NULL),
             *rows = rig_rows(rig, ROWS_MAX, width, NULL);
    pdk_rows *to = rig_rows(rig, ROWS_MAX, latent->heads * latent->value, NULL);
    for (uint32_t at = 0; at < latent->rows; at += chunk) {
        uint32_t count = latent->rows - at < chunk ? latent->rows - at : chunk;
        for (uint32_t r = 0; r < count; r++) {
            positions[r] = at + r;
            slots[r] = table[(at + r) / BLOCK_TOKENS] * BLOCK_TOKENS + (at + r) % BLOCK_TOKENS;
        }
        rig->ops->rows_write(rig->self, queries, 0, count, latent->queries + (size_t)at * latent->heads * head);
        rig->ops->rows_write(rig->self, rows, 0, count, latent->vectors + (size_t)at * width);
        rig->batch = (pdk_batch){.row_count = count,
            .sequence_count = 1,
            .table_stride = TABLE,
            .positions = positions,
            .slots = slots,
            .sequence_of = sequence_of,
            .tables = table};
        rig_begin(rig);
        rig->ops->latent_kv(rig->queue, &(pdk_latent_kv){.queries = queries,
                                            .latent = rows,
                                            .kv = kv,
                                            .frequencies = frequencies,
                                            .layer = 1,
                                            .heads = latent->heads,
                                            .nope_dims = latent->nope,
                                            .rope_dims = latent->rope,
                                            .rank = latent->rank,
                                            .order = latent->order,
                                            .magnitude = 1});
        rig->ops->latent_attention(rig->queue, &(pdk_latent_attention){.queries = queries,
                                                   .kv = kv,
                                                   .keys = (const pdk_weight *const *)keys,
                                                   .values = (const pdk_weight *const *)values,
                                                   .out = to,
                                                   .layer = 1,
                                                   .heads = latent->heads,
                                                   .nope_dims = latent->nope,
                                                   .rope_dims = latent->rope,
                                                   .rank = latent->rank,
                                                   .value_dims = latent->value,
                                                   .scale = 0.2f});
        rig_run(rig);
        rig->ops->rows_read(rig->self, to, 0, count, out + (size_t)at * latent->heads * latent->value);
    }
    for (uint32_t h = 0; h < latent->heads; h++) {
        rig->ops->weight_free(rig->self, keys[h]);
        rig->ops->weight_free(rig->self, values[h]);
    }
    rig->ops->vector_free(rig->self, frequencies);
    rig->ops->rows_free(rig->self, queries);
    rig->ops->rows_free(rig->self, rows);
    rig->ops->rows_free(rig->self, to);
    rig->ops->kv_free(rig->self, kv);
}

static void expect_latent(const struct latent *latent, float *out)
{
    uint32_t table[TABLE], head = latent->nope + latent->rope, width = latent->rank + latent->rope;
    float *cache = calloc((size_t)TABLE * BLOCK_TOKENS * width, sizeof *cache), query[256];
    ck_assert_ptr_nonnull(cache);
    make_table(table);
    for (uint32_t r = 0; r < latent->rows; r++) {
        float *vector = cache + ((size_t)table[r / BLOCK_TOKENS] * BLOCK_TOKENS + r % BLOCK_TOKENS) * width;
        memcpy(vector, latent->vectors + (size_t)r * width, width * sizeof *vector);
        reference_rope(vector + latent->rank, latent->frequencies, latent->rope, r, 1, latent->order == PDK_ROPE_PAIRS);
        for (uint32_t i = 0; latent->type == PDK_TYPE_BF16 && i < width; i++)
            vector[i] = float_of_bfloat(bfloat_of_float(vector[i]));
    }
    for (uint32_t r = 0; r < latent->rows; r++)
        for (uint32_t h = 0; h < latent->heads; h++) {
            const struct reference_latent task = {.cache = cache,
                .table = table,
                .rank = latent->rank,
                .nope_dims = latent->nope,
                .rope_dims = latent->rope,
                .position = r,
                .scale = 0.2f};
            memcpy(query, latent->queries + ((size_t)r * latent->heads + h) * head, head * sizeof *query);
            reference_rope(
                query + latent->nope, latent->frequencies, latent->rope, r, 1, latent->order == PDK_ROPE_PAIRS);
            reference_latent_attend(&task, &latent->keys[h], &latent->values[h], query,
                out + ((size_t)r * latent->heads + h) * latent->value);
        }
    free(cache);
}

START_TEST(latent_attention_is_the_references)
{
    if (!rig_has(_i))
        return;
    struct rig rig = rig_open(_i, 2, ROWS_MAX);
    struct random random = {(uint64_t)_i + 60};
    for (int round = 0; round < 6; round++) {
        struct latent latent;
        latent_new(&latent, &random, 1 + random_below(&random, 40), round % 2 == 0 ? PDK_TYPE_F32 : PDK_TYPE_BF16);
        size_t count = (size_t)latent.rows * latent.heads * latent.value;
        float *found = random_floats(&random, count, 0), *expected = random_floats(&random, count, 0);
        run_latent(&rig, &latent, ROWS_MAX, found);
        expect_latent(&latent, expected);
        assert_near(found, expected, count, latent.type == PDK_TYPE_F32 ? 1e-5 : 3e-3, "latent attention");
        free(found);
        free(expected);
        latent_free(&latent);
    }
    rig_close(&rig);
}
END_TEST

/* More rows than a split of the cache has, cut in every way. */
START_TEST(latent_rows_are_their_own)
{
    static const uint32_t chunks[] = {1, 7, 16, 50};
    if (!rig_has(_i))
        return;
    struct random random = {(uint64_t)_i + 80};
    struct latent latent;
    latent_new(&latent, &random, 300, _i % 2 == 0 ? PDK_TYPE_BF16 : PDK_TYPE_F32);
    size_t count = (size_t)latent.rows * latent.heads * latent.value;
    float *first = random_floats(&random, count, 0), *found = random_floats(&random, count, 0);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct rig rig = rig_open(_i, threads, ROWS_MAX);
        if (threads == 1)
            run_latent(&rig, &latent, ROWS_MAX, first);
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
            run_latent(&rig, &latent, chunks[c], found);
            assert_same(found, first, count, "chunks");
        }
        rig_close(&rig);
    }
    free(first);
    free(found);
    latent_free(&latent);
}
END_TEST

START_TEST(a_latent_block_holds_one_vector_a_token)
{
    struct rig rig = rig_open(0, 1, 4);
    pdk_kv_shape shape = {.layers = 3, .kv_heads = 16, .head_dim = 192, .type = PDK_TYPE_BF16, .latent = 576};
    ck_assert_uint_eq(rig.ops->kv_block_bytes(rig.self, &shape), 3 * 16 * 576 * 2);
    shape.type = PDK_TYPE_F32;
    ck_assert_uint_eq(rig.ops->kv_block_bytes(rig.self, &shape), 3 * 16 * 576 * 4);
    pdk_kv *kv = NULL;
    pdk_error err = {0};
    shape.latent_rank = 513;
    ck_assert_int_eq(rig.ops->kv_new(rig.self, &shape, 1, &kv, &err), PDK_UNSUPPORTED);
    ck_assert_str_eq(err.message, "latent vectors of rank 513; the cpu plugin has up to 512");
    rig_close(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experts");
    TCase *tests = tcase_create("experts");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, routes_are_chosen_by_the_rules, 0, RIG_ISAS);
    tcase_add_loop_test(tests, a_route_of_no_numbers_is_a_choice, 0, RIG_ISAS);
    tcase_add_loop_test(tests, experts_are_the_references, 0, RIG_ISAS);
    tcase_add_loop_test(tests, experts_of_a_row_are_its_own, 0, RIG_ISAS);
    tcase_add_loop_test(tests, latent_attention_is_the_references, 0, RIG_ISAS);
    tcase_add_loop_test(tests, latent_rows_are_their_own, 0, RIG_ISAS);
    tcase_add_test(tests, a_latent_block_holds_one_vector_a_token);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
