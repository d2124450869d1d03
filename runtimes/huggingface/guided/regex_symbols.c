/* Symbols by refining: cut the code points wherever a range begins or ends, then split the pieces by each class and
 * each edge in turn. */
#include "config.h"

#include "runtimes/huggingface/guided/regex_symbols.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"

#include <string.h>

void regex_symbols_done(struct regex_symbols *symbols)
{
    free(symbols->intervals);
    free(symbols->codes);
    free(symbols->members);
    free(symbols->begins);
    *symbols = (struct regex_symbols){0};
}

const uint32_t *regex_symbols_of(const struct regex_symbols *symbols, uint32_t class_number, uint32_t *ret_count)
{
    *ret_count = symbols->begins[class_number + 1] - symbols->begins[class_number];
    return symbols->members + symbols->begins[class_number];
}

/* Places where something changes. */
struct cuts {
    uint32_t *at;
    size_t count, room;
};

static bool add_cut(struct cuts *cuts, uint32_t first, uint32_t last)
{
    if (!array_grow(&cuts->at, &cuts->room, cuts->count + 2))
        return false;
    cuts->at[cuts->count++] = first;
    cuts->at[cuts->count++] = last + 1;
    return true;
}

static int compare_numbers(const void *left, const void *right)
{
    const uint32_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static bool collect_cuts(struct cuts *cuts, const struct regex_program *program)
{
    bool ok = add_cut(cuts, 0, CODE_LAST);
    for (uint32_t c = 0; c < program->class_count && ok; c++) {
        for (uint32_t r = 0; r < program->classes[c].count && ok; r++)
            ok = add_cut(cuts, program->classes[c].ranges[r].first, program->classes[c].ranges[r].last);
    }
    for (uint32_t i = 0; i < program->look_count && ok; i++) {
        for (uint32_t e = 0; e < program->looks[i]->edge_count && ok; e++)
            ok = add_cut(cuts, program->looks[i]->edges[e].first, program->looks[i]->edges[e].last);
    }
    if (ok)
        qsort(cuts->at, cuts->count, sizeof *cuts->at, compare_numbers);
    return ok;
}

static bool make_intervals(struct regex_symbols *symbols, const struct cuts *cuts)
{
    for (size_t i = 0; i + 1 < cuts->count; i++) {
        if (cuts->at[i] == cuts->at[i + 1])
            continue;
        if (!array_grow(&symbols->intervals, &symbols->interval_room, (size_t)symbols->interval_count + 1))
            return false;
        symbols->intervals[symbols->interval_count++] = (struct regex_interval){cuts->at[i], cuts->at[i + 1] - 1, 0};
    }
    return true;
}

static uint32_t find_interval(const struct regex_symbols *symbols, uint32_t code)
{
    uint32_t low = 0, high = symbols->interval_count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (symbols->intervals[middle].first <= code)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What refining keeps about each symbol: how many intervals it has, how many of them the set at hand covers, and the
 * symbol that those become, plus one. */
struct split {
    uint32_t *sizes, *covered, *becomes;
    uint32_t *touched;
};

static uint32_t cover(
    struct regex_symbols *symbols, struct split *split, const struct code_range *ranges, uint32_t count)
{
    uint32_t touched = 0;
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t i = find_interval(symbols, ranges[r].first);
             i < symbols->interval_count && symbols->intervals[i].first <= ranges[r].last; i++) {
            uint32_t symbol = symbols->intervals[i].symbol;
            if (split->covered[symbol]++ == 0)
                split->touched[touched++] = symbol;
        }
    }
    return touched;
}

/* Splits each symbol of which the ranges hold a part only. */
static void split_by(
    struct regex_symbols *symbols, struct split *split, const struct code_range *ranges, uint32_t count)
{
    uint32_t touched = cover(symbols, split, ranges, count);
    for (uint32_t t = 0; t < touched; t++) {
        uint32_t symbol = split->touched[t];
        if (split->covered[symbol] == split->sizes[symbol])
            continue;
        split->sizes[symbols->count] = split->covered[symbol];
        split->sizes[symbol] -= split->covered[symbol];
        split->becomes[symbol] = ++symbols->count;
    }
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t i = find_interval(symbols, ranges[r].first);
             i < symbols->interval_count && symbols->intervals[i].first <= ranges[r].last; i++) {
            uint32_t *symbol = &symbols->intervals[i].symbol;
            if (split->becomes[*symbol] != 0)
                *symbol = split->becomes[*symbol] - 1;
        }
    }
    for (uint32_t t = 0; t < touched; t++)
        split->covered[split->touched[t]] = split->becomes[split->touched[t]] = 0;
}

static int compare_edges(const void *left, const void *right)
{
    const struct regular_edge *a = left, *b = right;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

/* Splits by a state's edges, those of one target at a time. */
static bool split_by_state(
    struct regex_symbols *symbols, struct split *split, const struct regular *look, uint32_t state)
{
    uint32_t count = look->states[state].edges;
    PDK_AUTO_FREE struct regular_edge *edges = calloc((size_t)count + 1, sizeof *edges);
    PDK_AUTO_FREE struct code_range *ranges = calloc((size_t)count + 1, sizeof *ranges);
    if (edges == NULL || ranges == NULL)
        return false;
    if (count > 0)
        memcpy(edges, look->edges + look->states[state].edge, count * sizeof *edges);
    qsort(edges, count, sizeof *edges, compare_edges);
    for (uint32_t i = 0; i < count;) {
        uint32_t some = 0, target = edges[i].target;
        for (; i < count && edges[i].target == target; i++)
            ranges[some++] = (struct code_range){edges[i].first, edges[i].last};
        split_by(symbols, split, ranges, some);
    }
    return true;
}

static pdk_status refine(
    struct regex_symbols *symbols, const struct regex_program *program, const struct regular_budget *budget)
{
    size_t n = (size_t)symbols->interval_count + 1;
    PDK_AUTO_FREE uint32_t *numbers = calloc(n * 4, sizeof *numbers);
    if (numbers == NULL)
        return PDK_NO_MEMORY;
    struct split split = {numbers, numbers + n, numbers + 2 * n, numbers + 3 * n};
    symbols->count = 1;
    split.sizes[0] = symbols->interval_count;
    for (uint32_t c = 0; c < program->class_count; c++) {
        split_by(symbols, &split, program->classes[c].ranges, program->classes[c].count);
        if (c % 64 == 63 && thread_ms() > budget->deadline_ms)
            return PDK_TOO_LARGE;
    }
    for (uint32_t i = 0; i < program->look_count; i++) {
        for (uint32_t s = 0; s < program->looks[i]->count; s++) {
            if (!split_by_state(symbols, &split, program->looks[i], s))
                return PDK_NO_MEMORY;
            if (thread_ms() > budget->deadline_ms)
                return PDK_TOO_LARGE;
        }
    }
    return PDK_OK;
}

static bool collect_members(struct regex_symbols *symbols, const struct regex_program *program)
{
    symbols->begins = calloc((size_t)program->class_count + 1, sizeof *symbols->begins);
    symbols->codes = calloc((size_t)symbols->count + 1, sizeof *symbols->codes);
    PDK_AUTO_FREE uint32_t *last_class = calloc((size_t)symbols->count + 1, sizeof *last_class);
    if (symbols->begins == NULL || symbols->codes == NULL || last_class == NULL)
        return false;
    for (uint32_t i = 0; i < symbols->interval_count; i++)
        symbols->codes[symbols->intervals[i].symbol] = symbols->intervals[i].first;
    for (uint32_t c = 0; c < program->class_count; c++) {
        symbols->begins[c] = (uint32_t)symbols->member_count;
        for (uint32_t r = 0; r < program->classes[c].count; r++) {
            const struct code_range *range = &program->classes[c].ranges[r];
            for (uint32_t i = find_interval(symbols, range->first);
                 i < symbols->interval_count && symbols->intervals[i].first <= range->last; i++) {
                uint32_t symbol = symbols->intervals[i].symbol;
                if (last_class[symbol] == c + 1)
                    continue;
                last_class[symbol] = c + 1;
                if (!array_grow(&symbols->members, &symbols->member_room, symbols->member_count + 1))
                    return false;
                symbols->members[symbols->member_count++] = symbol;
            }
        }
    }
    symbols->begins[program->class_count] = (uint32_t)symbols->member_count;
    return true;
}

pdk_status regex_symbols_init(
    struct regex_symbols *symbols, const struct regex_program *program, const struct regular_budget *budget)
{
    struct cuts cuts = {0};
    *symbols = (struct regex_symbols){0};
    bool ok = collect_cuts(&cuts, program) && make_intervals(symbols, &cuts);
    free(cuts.at);
    pdk_status status = ok ? refine(symbols, program, budget) : PDK_NO_MEMORY;
    if (status == PDK_OK && !collect_members(symbols, program))
        status = PDK_NO_MEMORY;
    return status;
}
