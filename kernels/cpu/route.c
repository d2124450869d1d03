/* The choice of experts for one row. There are few, so each choice is a scan; a scan that meets numbers that are none
 * still gives experts that are different ones. */
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes_math.h"

#include <math.h>

/* softmax or sigmoid of n numbers; `out` has room for whole sixteens. */
static void score(int kind, const float *products, size_t n, float *out)
{
    float largest = -INFINITY, total = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, products[i]);
    for (size_t i = 0; i < n; i += LANES) {
        lanes x = n - i < LANES ? lanes_load_part(&products[i], n - i) : lanes_load(&products[i]);
        lanes_store(&out[i], kind == ROUTE_SIGMOID ? lanes_sigmoid(x) : lanes_exp(lanes_sub(x, lanes_set(largest))));
    }
    if (kind == ROUTE_SIGMOID)
        return;
    for (size_t i = 0; i < n; i++)
        total += out[i];
    for (size_t i = 0; i < n; i++)
        out[i] /= total;
}

/* The index of the largest value whose mark is not `without`, the first of equals. */
static size_t best(const float *values, const uint8_t *marks, size_t n, uint8_t without)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if ((marks[i] & without) == 0 && (at == SIZE_MAX || values[i] > values[at]))
            at = i;
    return at;
}

enum { TAKEN = 1, OUTSIDE = 2, COUNTED = 4 };

/* Marks the experts of groups that are not chosen. */
static void choose_groups(const struct route *task, const float *choice, uint8_t *marks)
{
    float groups[ROUTE_EXPERTS_MAX];
    uint8_t chosen[ROUTE_EXPERTS_MAX] = {0};
    size_t each = task->experts / task->groups;
    for (size_t g = 0; g < task->groups; g++) {
        size_t first = best(&choice[g * each], &marks[g * each], each, COUNTED);
        groups[g] = choice[g * each + first];
        marks[g * each + first] |= COUNTED;
        if (task->two_of_group)
            groups[g] += choice[g * each + best(&choice[g * each], &marks[g * each], each, COUNTED)];
    }
    for (size_t i = 0; i < task->groups_chosen; i++)
        chosen[best(groups, chosen, task->groups, TAKEN)] = TAKEN;
    for (size_t e = 0; e < task->experts; e++)
        if (chosen[e / each] == 0)
            marks[e] |= OUTSIDE;
}

void KERNEL(route)(const struct route *task)
{
    float scores[ROUTE_EXPERTS_MAX], corrected[ROUTE_EXPERTS_MAX];
    uint8_t marks[ROUTE_EXPERTS_MAX] = {0};
    const float *from = task->products;
    float *weights = task->out + task->chosen, total = 0;
    if (task->score != ROUTE_CHOSEN) {
        score(task->score, task->products, task->experts, scores);
        from = scores;
    }
    for (size_t e = 0; task->correction != NULL && e < task->experts; e++)
        corrected[e] = from[e] + task->correction[e];
    const float *choice = task->correction != NULL ? corrected : from;
    if (task->groups != 0)
        choose_groups(task, choice, marks);
    for (size_t c = 0; c < task->chosen; c++) {
        size_t expert = best(choice, marks, task->experts, TAKEN | OUTSIDE);
        marks[expert] |= TAKEN;
        task->out[c] = (float)expert;
        weights[c] = from[expert];
    }
    if (task->score == ROUTE_CHOSEN) {
        float softened[ROUTE_EXPERTS_MAX];
        score(ROUTE_SOFTMAX, weights, task->chosen, softened);
        memcpy(weights, softened, task->chosen * sizeof *weights);
    }
    for (size_t c = 0; c < task->chosen; c++)
        total += weights[c];
    /* The smallest normal number: scores that all vanish give zeros, as a division by zero would give none. */
    for (size_t c = 0; c < task->chosen; c++)
        weights[c] = (task->normalise ? weights[c] / fmaxf(total, 0x1p-126f) : weights[c]) * task->scale;
}
