/* A word is an array of symbols, one slot each at first. A joined symbol keeps its slots: its id stands in the first,
 * its length in the second and in the last, and a bit tells which slots start a symbol; so neighbours are found in both
 * directions without links. Candidates wait in a heap ordered by (rank, place). Those whose pair has gone are dropped
 * when they come up, and all at once when the heap is full: there are never more live ones than symbols, so that its
 * size is theirs.
 *
 * A long run of one letter makes candidates that are in order already; a heap of millions would only cost cache misses.
 * As long as what is pushed comes behind all that waits, they are taken from the front of a sorted row, and the pushed
 * ones are kept in the room that this leaves, to be the next row. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/bpe.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { HEAP_WAYS = 4 };

void bpe_work_done(struct bpe_work *work)
{
    free(work->symbols);
    free(work->starts);
    free(work->heap);
    buffer_done(&work->spelled);
}

static const struct merge *merge_find(const struct bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    size_t slot = bpe_slot(bpe, pair);
    while (bpe->merges[slot].id != BPE_NONE) {
        if (bpe->merges[slot].pair == pair)
            return &bpe->merges[slot];
        slot = (slot + 1) & (bpe->room - 1);
    }
    return NULL;
}

static bool is_start(const struct bpe_work *work, size_t at)
{
    return (work->starts[at / 64] >> at % 64 & 1) != 0;
}

static size_t symbol_end(const struct bpe_work *work, size_t at, size_t count)
{
    return at + 1 == count || is_start(work, at + 1) ? at + 1 : at + work->symbols[at + 1];
}

/* The start of the symbol that ends before `at` > 0. */
static size_t symbol_before(const struct bpe_work *work, size_t at)
{
    return is_start(work, at - 1) ? at - 1 : at - work->symbols[at - 1];
}

/* The merge of the symbol at `at` with the one behind it. */
static const struct merge *merge_at(const struct bpe *bpe, const struct bpe_work *work, size_t at, size_t count)
{
    size_t next = symbol_end(work, at, count);
    return next == count ? NULL : merge_find(bpe, work->symbols[at], work->symbols[next]);
}

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t moving = heap[at];
    for (;;) {
        size_t first = at * HEAP_WAYS + 1, last = first + HEAP_WAYS, least = first;
        if (first >= count)
            break;
        if (last > count)
            last = count;
        for (size_t i = first + 1; i < last; i++)
            least = heap[i] < heap[least] ? i : least;
        if (heap[least] >= moving)
            break;
        heap[at] = heap[least];
        at = least;
    }
    heap[at] = moving;
}

static void heap_order(struct bpe_work *work)
{
    if (work->heap_count < 2)
        return;
    for (size_t i = (work->heap_count - 2) / HEAP_WAYS + 1; i-- > 0;)
        sift_down(work->heap, work->heap_count, i);
}

static uint64_t heap_pop(struct bpe_work *work)
{
    uint64_t top = work->heap[0];
    work->heap[0] = work->heap[--work->heap_count];
    if (work->heap_count > 1)
        sift_down(work->heap, work->heap_count, 0);
    return top;
}

static bool is_live(const struct bpe *bpe, const struct bpe_work *work, uint64_t entry, size_t count)
{
    size_t at = (uint32_t)entry;
    if (!is_start(work, at))
        return false;
    const struct merge *merge = merge_at(bpe, work, at, count);
    return merge != NULL && merge->rank == entry >> 32;
}

static void heap_compact(const struct bpe *bpe, struct bpe_work *work, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < work->heap_count; i++) {
        if (is_live(bpe, work, work->heap[i], count))
            work->heap[kept++] = work->heap[i];
    }
    work->heap_count = kept;
    heap_order(work);
}

static void heap_push(const struct bpe *bpe, struct bpe_work *work, uint64_t entry, size_t count)
{
    if (work->heap_count == work->heap_room)
        heap_compact(bpe, work, count);
    /* Grows only where equal ranks (scores of SentencePiece) make a gone pair look like a live one. */
    if (work->heap_count == work->heap_room && !array_grow(&work->heap, &work->heap_room, work->heap_count + 1)) {
        work->failed = true;
        return;
    }
    size_t at = work->heap_count++;
    while (at > 0 && work->heap[(at - 1) / HEAP_WAYS] > entry) {
        work->heap[at] = work->heap[(at - 1) / HEAP_WAYS];
        at = (at - 1) / HEAP_WAYS;
    }
    work->heap[at] = entry;
}

/* Joins the symbol at `at` with the next one. */
static void join(struct bpe_work *work, size_t at, uint32_t id, size_t count)
{
    size_t next = symbol_end(work, at, count), end = symbol_end(work, next, count);
    work->starts[next / 64] &= ~(UINT64_C(1) << next % 64);
    work->symbols[at] = id;
    work->symbols[at + 1] = (uint32_t)(end - at);
    work->symbols[end - 1] = (uint32_t)(end - at);
}

/* All that waits becomes a heap: the pushed ones at the front, then the row's rest. */
static void row_to_heap(struct bpe_work *work)
{
    struct candidate_row *row = &work->row;
    memmove(work->heap + row->pushed, work->heap + row->at, (row->end - row->at) * sizeof *work->heap);
    work->heap_count = row->pushed + row->end - row->at;
    row->active = false;
    heap_order(work);
}

static void push(const struct bpe *bpe, struct bpe_work *work, size_t place, size_t count)
{
    struct candidate_row *row = &work->row;
    const struct merge *merge = merge_at(bpe, work, place, count);
    if (merge == NULL)
        return;
    uint64_t entry = (uint64_t)merge->rank << 32 | place;
    if (row->active && row->pushed < row->at) {
        work->heap[row->pushed++] = entry;
        row->least = entry < row->least ? entry : row->least;
        return;
    }
    if (row->active)
        row_to_heap(work);
    heap_push(bpe, work, entry, count);
}

static int compare_entries(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static bool is_sorted(const uint64_t *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (entries[i - 1] > entries[i])
            return false;
    }
    return true;
}

/* What was pushed is the next row, sorted and without those that have gone. */
static void next_row(const struct bpe *bpe, struct bpe_work *work, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < work->row.pushed; i++) {
        if (is_live(bpe, work, work->heap[i], count))
            work->heap[kept++] = work->heap[i];
    }
    if (!is_sorted(work->heap, kept))
        qsort(work->heap, kept, sizeof *work->heap, compare_entries);
    work->row = (struct candidate_row){.active = true, .end = kept, .least = UINT64_MAX};
}

/* The next candidate; false: there is none. */
static bool pop(const struct bpe *bpe, struct bpe_work *work, size_t count, uint64_t *ret_entry)
{
    struct candidate_row *row = &work->row;
    if (row->active && row->at == row->end)
        next_row(bpe, work, count);
    if (row->active && row->at < row->end && row->least < work->heap[row->at])
        row_to_heap(work);
    if (row->active) {
        if (row->at == row->end)
            return false;
        *ret_entry = work->heap[row->at++];
        return true;
    }
    if (work->heap_count == 0)
        return false;
    *ret_entry = heap_pop(work);
    return true;
}

static void merge_all(const struct bpe *bpe, struct bpe_work *work, size_t count)
{
    uint64_t entry;
    work->heap_count = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        const struct merge *merge = merge_find(bpe, work->symbols[i], work->symbols[i + 1]);
        if (merge != NULL)
            work->heap[work->heap_count++] = (uint64_t)merge->rank << 32 | i;
    }
    work->row = (struct candidate_row){
        .active = is_sorted(work->heap, work->heap_count), .end = work->heap_count, .least = UINT64_MAX};
    if (!work->row.active)
        heap_order(work);
    while (pop(bpe, work, count, &entry)) {
        size_t at = (uint32_t)entry;
        if (!is_live(bpe, work, entry, count))
            continue;
        join(work, at, merge_at(bpe, work, at, count)->id, count);
        if (at > 0)
            push(bpe, work, symbol_before(work, at), count);
        push(bpe, work, at, count);
    }
}

/* The symbols of a word while they are put in. */
struct filling {
    struct bpe_work *work;
    size_t count;
    bool unknown; /* one is due before the next symbol */
};

static void put_symbol(struct filling *fill, uint32_t id)
{
    fill->work->symbols[fill->count++] = id;
}

static void put_unknown(const struct bpe *bpe, struct filling *fill)
{
    if (bpe->unknown == BPE_NONE)
        return;
    if (fill->unknown && !bpe->fuse_unknown)
        put_symbol(fill, bpe->unknown);
    fill->unknown = true;
}

static bool put_bytes(const struct bpe *bpe, struct filling *fill, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bpe->bytes[(uint8_t)text[i]] == BPE_NONE)
            return false;
    }
    for (size_t i = 0; i < length; i++)
        put_symbol(fill, bpe->bytes[(uint8_t)text[i]]);
    return true;
}

static void put_known(const struct bpe *bpe, struct filling *fill, uint32_t id)
{
    if (fill->unknown)
        put_symbol(fill, bpe->unknown);
    fill->unknown = false;
    put_symbol(fill, id);
}

static size_t fill_symbols(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t length)
{
    struct filling fill = {.work = work};
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t step = bpe->spelled ? 1 : utf8_decode(word + i, length - i, &code);
        int64_t id =
            bpe->spelled ? (int64_t)bpe->bytes[(uint8_t)word[i]] : vocabulary_find(bpe->vocabulary, word + i, step);
        if (id >= 0 && id != BPE_NONE)
            put_known(bpe, &fill, (uint32_t)id);
        else if (bpe->spelled || !bpe->byte_fallback || !put_bytes(bpe, &fill, word + i, step))
            put_unknown(bpe, &fill);
        i += step;
    }
    if (fill.unknown)
        put_symbol(&fill, bpe->unknown);
    return fill.count;
}

static bool work_grow(struct bpe_work *work, size_t length)
{
    /* Exact, not doubled: a long word is the one that counts, and doubling would break the promise of memory. */
    if (length > work->symbol_room) {
        free(work->symbols);
        free(work->heap);
        work->symbols = calloc(length + 1, sizeof *work->symbols);
        work->heap = calloc(length + 1, sizeof *work->heap);
        work->symbol_room = work->symbols == NULL || work->heap == NULL ? 0 : length;
        work->heap_room = work->symbol_room;
    }
    return length <= work->symbol_room && array_grow(&work->starts, &work->start_room, length / 64 + 1);
}

static bool list_put(struct token_list *list, uint32_t id)
{
    if (list->count == list->room && !array_grow(&list->ids, &list->room, list->count + 1))
        return false;
    list->ids[list->count++] = id;
    return true;
}

static int64_t whole_word(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t length)
{
    if (length > VOCABULARY_PIECE_MAX)
        return -1;
    if (!bpe->spelled)
        return vocabulary_find(bpe->vocabulary, word, length);
    buffer_clear(&work->spelled);
    bytes_spell(&work->spelled, word, length);
    return vocabulary_find(bpe->vocabulary, work->spelled.data, work->spelled.length);
}

pdk_status bpe_encode(const struct bpe *bpe, struct bpe_work *work, const char *word, size_t length,
    struct token_list *list, pdk_error *err)
{
    int64_t whole = bpe->whole_words ? whole_word(bpe, work, word, length) : -1;
    if (whole >= 0)
        return list_put(list, (uint32_t)whole) ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    if (!work_grow(work, length < 64 ? 64 : length))
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory for a word of %zu bytes", length);
    size_t count = fill_symbols(bpe, work, word, length);
    memset(work->starts, 0xFF, (length / 64 + 1) * sizeof *work->starts);
    merge_all(bpe, work, count);
    if (work->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory for a word of %zu bytes", length);
    for (size_t i = 0; i < count; i = symbol_end(work, i, count)) {
        if (!list_put(list, work->symbols[i]))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    return PDK_OK;
}
