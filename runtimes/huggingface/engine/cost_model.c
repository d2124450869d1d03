/* Recursive least squares with forgetting: three numbers are fitted to what the steps took, the last few hundred
 * counting most. Negative terms are taken as zero when predicting. */
#include "config.h"

#include "runtimes/huggingface/engine/cost_model.h"

#include <math.h>
#include <string.h>

enum { TRUSTED_AFTER = 8, OUTLIERS_BELIEVED = 4, ALONE_ROWS = 512, UNTRUSTED_ROWS = 64 };
static const double forgetting = 0.99, far_off = 5;

static void features(double x[COST_TERMS], uint32_t rows, uint64_t context)
{
    x[0] = 1;
    x[1] = rows / 64.0;
    x[2] = (double)context / 4096.0;
}

void cost_model_init(struct cost_model *model)
{
    memset(model, 0, sizeof *model);
    for (int i = 0; i < COST_TERMS; i++)
        model->covariance[i][i] = 100;
}

double cost_model_predict(const struct cost_model *model, uint32_t rows, uint64_t context)
{
    double x[COST_TERMS], sum = 0;
    features(x, rows, context);
    for (int i = 0; i < COST_TERMS; i++)
        sum += fmax(model->seconds[i], 0) * x[i];
    return sum;
}

void cost_model_observe(struct cost_model *model, uint32_t rows, uint64_t context, double seconds)
{
    if (!(seconds > 0) || seconds > 3600)
        return;
    double predicted = cost_model_predict(model, rows, context);
    if (model->observed >= TRUSTED_AFTER && seconds > far_off * predicted && ++model->outliers < OUTLIERS_BELIEVED)
        return;
    model->outliers = 0;

    double x[COST_TERMS], gain[COST_TERMS], spread = forgetting, plain = 0;
    features(x, rows, context);
    for (int i = 0; i < COST_TERMS; i++) {
        gain[i] = 0;
        for (int j = 0; j < COST_TERMS; j++)
            gain[i] += model->covariance[i][j] * x[j];
        plain += model->seconds[i] * x[i];
    }
    for (int i = 0; i < COST_TERMS; i++)
        spread += x[i] * gain[i];
    for (int i = 0; i < COST_TERMS; i++)
        model->seconds[i] += gain[i] / spread * (seconds - plain);
    for (int i = 0; i < COST_TERMS; i++)
        for (int j = 0; j < COST_TERMS; j++)
            model->covariance[i][j] = (model->covariance[i][j] - gain[i] * gain[j] / spread) / forgetting;
    /* Directions that no step has shown for long would grow without end. */
    for (int i = 0; i < COST_TERMS; i++) {
        if (model->covariance[i][i] > 1e4) {
            for (int j = 0; j < COST_TERMS; j++)
                model->covariance[i][j] = model->covariance[j][i] = 0;
            model->covariance[i][i] = 100;
        }
    }
    if (model->observed < UINT32_MAX)
        model->observed++;
}

uint32_t cost_model_budget(
    const struct cost_model *model, uint32_t decode_rows, uint64_t decode_context, uint32_t least, uint32_t most)
{
    double rows = ALONE_ROWS;
    if (decode_rows != 0) {
        double row = fmax(model->seconds[1], 0) / 64.0;
        rows = UNTRUSTED_ROWS;
        if (model->observed >= TRUSTED_AFTER && row > 0)
            rows = cost_model_predict(model, decode_rows, decode_context) / row;
        rows = fmin(rows, ALONE_ROWS);
    }
    if (rows < least)
        rows = least;
    return rows < most ? (uint32_t)rows : most;
}
