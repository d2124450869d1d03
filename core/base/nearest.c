/* Restricted edit distance (insert, delete, change, swap of neighbours), given up beyond a third of the name. */
#include "config.h"

#include "core/base/nearest.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 64 };

static char folded(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LENGTH_MAX || m > LENGTH_MAX)
        return SIZE_MAX;
    size_t rows[3][LENGTH_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = above[j - 1] + (folded(a[i - 1]) != folded(b[j - 1]));
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

struct nearest nearest_to(const char *wanted)
{
    return (struct nearest){.wanted = wanted, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t found = distance(nearest->wanted, name);
    if (found < nearest->distance) {
        nearest->distance = found;
        nearest->best = name;
    }
}

const char *nearest_hint(struct nearest *nearest)
{
    size_t length = strlen(nearest->wanted);
    if (nearest->best == NULL || nearest->distance > (length < 3 ? 1 : length / 3 + 1))
        return "";
    snprintf(nearest->hint, sizeof nearest->hint, "; did you mean '%.96s'?", nearest->best);
    return nearest->hint;
}
