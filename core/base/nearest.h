/* core/base/nearest.h: the "did you mean" of every message about an unknown name. */
#pragma once

#include <stddef.h>

struct nearest {
    const char *wanted;
    const char *best; /* borrowed from the offers, or NULL */
    size_t distance;
    char hint[128];
};

struct nearest nearest_to(const char *wanted);
/* Offers a name that exists. By restricted edit distance; '-' and '_' are the same, case costs nothing. */
void nearest_offer(struct nearest *nearest, const char *name);
/* "; did you mean 'x'?", or "" when nothing is near. */
const char *nearest_hint(struct nearest *nearest);
