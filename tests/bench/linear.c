/* How fast the cpu backend multiplies: one JSON line a case. linear [THREADS [SECONDS A CASE]]; PADDOCK_ISA lowers the
 * instruction set, BENCH_TYPE picks one type. Weights are rotated over 128 MB, so that they come from memory. */
#include "config.h"

#include "core/base/clock.h"
#include "kernels/types.h"

#include <inttypes.h>
#include <paddock/compute.h>
#include <paddock/draft/ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 512, COPIES_MAX = 512, OPS_MAX = 16 };

static const struct {
    const char *name;
    int32_t type;
} types[] = {{"q4_1", PDK_TYPE_Q4_1}, {"q4_0", PDK_TYPE_Q4_0}, {"q8_0", PDK_TYPE_Q8_0}, {"bf16", PDK_TYPE_BF16},
    {"f16", PDK_TYPE_F16}, {"f32", PDK_TYPE_F32}, {"q5_0", PDK_TYPE_Q5_0}, {"q4_K", PDK_TYPE_Q4_K},
    {"q5_K", PDK_TYPE_Q5_K}, {"q6_K", PDK_TYPE_Q6_K}, {"iq4_xs", PDK_TYPE_IQ4_XS}, {"mxfp4", PDK_TYPE_MXFP4}};

static const struct {
    uint32_t outputs, columns;
} shapes[] = {{1536, 576}, {576, 1536}, {4096, 4096}};
static const uint32_t row_counts[] = {1, 2, 4, 8, 16, 64, 256};

struct bench {
    const pdk_ops *ops;
    void *self;
    uint32_t threads;
    double seconds;
};

static void die(const char *what, const pdk_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}

static uint32_t load_copies(struct bench *bench, const pdk_matrix *matrix, uint64_t bytes, pdk_weight **weights)
{
    pdk_error err = {0};
    uint32_t copies = (uint32_t)((128u << 20) / bytes + 1);
    copies = copies < COPIES_MAX ? copies : COPIES_MAX;
    for (uint32_t i = 0; i < copies; i++)
        if (bench->ops->weight_load(bench->self, matrix, 1, PDK_WEIGHT_LINEAR, &weights[i], &err) != PDK_OK)
            die("weight", &err);
    return copies;
}

/* The best of many runs of OPS_MAX products, in seconds a product. */
static double measure(struct bench *bench, pdk_queue *queue, pdk_rows *in, pdk_rows *out, pdk_weight **weights,
    uint32_t copies, const pdk_batch *batch)
{
    double best = 1e9;
    uint32_t next = 0;
    for (int64_t begin = monotonic_us(); (double)(monotonic_us() - begin) < bench->seconds * 1e6;) {
        int64_t start = clock_ns(CLOCK_MONOTONIC);
        bench->ops->queue_begin(queue, batch);
        for (int i = 0; i < OPS_MAX; i++, next = (next + 1) % copies)
            bench->ops->linear(queue, &(pdk_linear){.in = in, .weight = weights[next], .out = out, .scale = 1});
        pdk_error err = {0};
        if (bench->ops->queue_submit(queue, &err) != PDK_OK || bench->ops->queue_wait(queue, &err) != PDK_OK)
            die("step", &err);
        double took = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9 / OPS_MAX;
        best = took < best ? took : best;
    }
    return best;
}

static void run_case(struct bench *bench, size_t t, size_t s)
{
    static pdk_weight *weights[COPIES_MAX];
    pdk_error err = {0};
    uint32_t outputs = shapes[s].outputs, columns = shapes[s].columns;
    size_t bytes = outputs * weight_row_bytes(types[t].type, columns);
    uint8_t *data = malloc(bytes);
    pdk_rows *in = NULL, *out = NULL;
    pdk_queue *queue = NULL;
    if (data == NULL || bench->ops->rows_new(bench->self, ROWS_MAX, columns, &in, &err) != PDK_OK ||
        bench->ops->rows_new(bench->self, ROWS_MAX, outputs, &out, &err) != PDK_OK ||
        bench->ops->queue_new(bench->self, ROWS_MAX, OPS_MAX, &queue, &err) != PDK_OK)
        die("memory", &err);
    memset(data, 0x11, bytes);
    pdk_matrix matrix = {.type = types[t].type, .rows = outputs, .columns = columns, .data = data};
    uint64_t packed = bench->ops->weight_bytes(bench->self, &matrix, 1, PDK_WEIGHT_LINEAR);
    uint32_t copies = load_copies(bench, &matrix, packed, weights);
    for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++) {
        pdk_batch batch = {.row_count = row_counts[r]};
        double seconds = measure(bench, queue, in, out, weights, copies, &batch);
        printf("{\"name\":\"linear_%s_%ux%u\",\"rows\":%u,\"seconds\":%.3g,\"gb_per_s\":%.2f,\"gflop_per_s\":%.2f,"
               "\"isa\":\"%s\",\"threads\":%u}\n",
            types[t].name, outputs, columns, row_counts[r], seconds, (double)packed / seconds / 1e9,
            2.0 * outputs * columns * row_counts[r] / seconds / 1e9,
            getenv("PADDOCK_ISA") ? getenv("PADDOCK_ISA") : "best", bench->threads);
        fflush(stdout);
    }
    for (uint32_t i = 0; i < copies; i++)
        bench->ops->weight_free(bench->self, weights[i]);
    bench->ops->queue_free(bench->self, queue);
    bench->ops->rows_free(bench->self, in);
    bench->ops->rows_free(bench->self, out);
    free(data);
}

int main(int argc, char **argv)
{
    struct bench bench = {.threads = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1,
        .seconds = argc > 2 ? strtod(argv[2], NULL) : 0.1};
    pdk_compute_config config = {.size = sizeof config, .threads = bench.threads};
    pdk_error err = {0};
    if (pdk_compute_entry.init(&config, &bench.self, &err) != PDK_OK)
        die("cpu", &err);
    bench.ops = pdk_compute_entry.get_extension(bench.self, PDK_EXT_OPS);
    const char *only = getenv("BENCH_TYPE");
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            if ((only == NULL || strcmp(only, types[t].name) == 0) &&
                shapes[s].columns % weight_block(types[t].type) == 0)
                run_case(&bench, t, s);
    pdk_compute_entry.done(bench.self);
    return EXIT_SUCCESS;
}
