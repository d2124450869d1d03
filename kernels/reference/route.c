/* The choice of experts: everything is sorted, so that each rule stands there by itself. */
#include "kernels/reference/reference.h"

#include <math.h>

enum { EXPERTS_MAX = 1024 };

static void score_all(const struct reference_route *task, const float *products, double *scores)
{
    double largest = -INFINITY, total = 0;
    for (size_t e = 0; e < task->experts; e++)
        largest = fmax(largest, products[e]);
    for (size_t e = 0; e < task->experts; e++)
        total += exp(products[e] - largest);
    for (size_t e = 0; e < task->experts; e++)
        scores[e] = task->score == REFERENCE_SOFTMAX   ? exp(products[e] - largest) / total
                    : task->score == REFERENCE_SIGMOID ? 1 / (1 + exp(-(double)products[e]))
                                                       : products[e];
}

/* The indices of the `wanted` largest values, best first, ties by index. */
static void best_of(const double *values, size_t count, size_t wanted, size_t *ret_best)
{
    for (size_t n = 0; n < count; n++) {
        size_t at = n < wanted ? n : wanted;
        while (at > 0 && values[n] > values[ret_best[at - 1]]) {
            if (at < wanted)
                ret_best[at] = ret_best[at - 1];
            at--;
        }
        if (at < wanted)
            ret_best[at] = n;
    }
}

/* Experts outside the chosen groups are put behind all others. */
static void keep_groups(const struct reference_route *task, double *choice)
{
    size_t each = task->experts / task->groups, best[EXPERTS_MAX];
    double groups[EXPERTS_MAX];
    for (size_t g = 0; g < task->groups; g++) {
        best_of(&choice[g * each], each, task->two_of_group ? 2 : 1, best);
        groups[g] = choice[g * each + best[0]] + (task->two_of_group ? choice[g * each + best[1]] : 0);
    }
    best_of(groups, task->groups, task->groups_chosen, best);
    for (size_t e = 0; e < task->experts; e++) {
        bool kept = false;
        for (size_t g = 0; g < task->groups_chosen; g++)
            kept |= e / each == best[g];
        choice[e] = kept ? choice[e] : -INFINITY;
    }
}

void reference_route(const struct reference_route *task, const float *products, float *out)
{
    double scores[EXPERTS_MAX], choice[EXPERTS_MAX], weights[EXPERTS_MAX], total = 0;
    size_t best[EXPERTS_MAX];
    score_all(task, products, scores);
    for (size_t e = 0; e < task->experts; e++)
        choice[e] = scores[e] + (task->correction != NULL ? task->correction[e] : 0);
    if (task->groups != 0)
        keep_groups(task, choice);
    best_of(choice, task->experts, task->chosen, best);
    for (size_t c = 0; c < task->chosen; c++) {
        weights[c] = task->score == REFERENCE_CHOSEN ? exp(scores[best[c]] - scores[best[0]]) : scores[best[c]];
        total += weights[c];
    }
    for (size_t c = 0; c < task->chosen; c++) {
        out[c] = (float)best[c];
        out[task->chosen + c] =
            (float)(weights[c] / (task->normalise || task->score == REFERENCE_CHOSEN ? total : 1) * task->scale);
    }
}
