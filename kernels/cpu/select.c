/* Finding the best k in about two passes. The largest values of more than k groups bound the k-th best of all from
 * below; what passes that bound is little, and is sorted. */
#include "kernels/cpu/select.h"

#include <math.h>

enum { GROUPS_MAX = 4096, GROUP_LEAST = 16 };

static bool better(const float *values, uint32_t a, uint32_t b)
{
    return values[a] > values[b] || (values[a] == values[b] && a < b);
}

/* Lets the entry at `root` sink in a heap whose top is the worst. */
static void sink(const float *values, uint32_t *ids, size_t root, size_t count)
{
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && better(values, ids[child], ids[child + 1]))
            child++;
        if (!better(values, ids[root], ids[child]))
            return;
        uint32_t held = ids[root];
        ids[root] = ids[child];
        ids[child] = held;
        root = child;
    }
}

/* Heap sort, best first: no worst case that a crafted row of logits could reach. */
void sort_best(const float *values, uint32_t *ids, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sink(values, ids, root, count);
    for (size_t last = count; last-- > 1;) {
        uint32_t held = ids[0];
        ids[0] = ids[last];
        ids[last] = held;
        sink(values, ids, 0, last);
    }
}

/* A value that at least k of the n reach. */
static float bound_of(const struct kernels *kernels, const float *values, size_t n, size_t k, uint32_t *order)
{
    float best[GROUPS_MAX];
    size_t groups = 256;
    while (groups < 2 * k)
        groups *= 2;
    if (groups > GROUPS_MAX || n / groups < GROUP_LEAST)
        return -INFINITY;
    for (size_t g = 0; g < groups; g++) {
        size_t from = g * n / groups, to = (g + 1) * n / groups;
        best[g] = kernels->largest(values + from, to - from);
        order[g] = (uint32_t)g;
    }
    sort_best(best, order, groups);
    return best[order[k - 1]];
}

size_t select_best(const struct kernels *kernels, const float *values, size_t n, size_t k, uint32_t *ids)
{
    size_t count = kernels->collect(values, n, bound_of(kernels, values, n, k, ids), ids);
    sort_best(values, ids, count);
    size_t kept = k < count ? k : count;
    while (kept < count && values[ids[kept]] == values[ids[k - 1]])
        kept++;
    return kept;
}
