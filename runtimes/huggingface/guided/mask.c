/* See the header. */
#include "config.h"

#include "runtimes/huggingface/guided/mask.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE_SUBTREE = 6 }; /* nodes; it is worth asking whether all of it is allowed */

struct mask {
    size_t bytes;
    uint32_t *open; /* of a likeness: nodes where its knowledge ends */
    uint32_t open_count;
    uint64_t bits[];
};

/* Where a likeness's walk notes nodes at which its knowledge ends. */
struct open_nodes {
    uint32_t *nodes;
    size_t count, room;
    uint32_t end; /* up to here all is below the last one */
};

pdk_status masks_init(
    struct masks *masks, const struct guide_vocabulary *vocabulary, struct automaton *automaton, pdk_error *err)
{
    *masks = (struct masks){.vocabulary = vocabulary, .automaton = automaton};
    automaton->look_ahead = vocabulary->longest + 1;
    masks->states = calloc(TOKEN_BYTES_MAX + 1, sizeof *masks->states);
    return masks->states != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for token masks");
}

static bool is_end(const struct guide_vocabulary *vocabulary, uint32_t token)
{
    for (uint32_t i = 0; i < vocabulary->eos_count; i++)
        if (vocabulary->eos_ids[i] == token)
            return true;
    return false;
}

pdk_status masks_take_specials(struct masks *masks, const char *text, size_t length, pdk_error *err)
{
    const struct guide_vocabulary *vocabulary = masks->vocabulary;
    size_t room = 0;
    for (uint32_t token = 0; token < vocabulary->size; token++) {
        if (!tokenizer_is_special(vocabulary->tokenizer, token) || is_end(vocabulary, token))
            continue;
        pdk_string piece = tokenizer_piece(vocabulary->tokenizer, token);
        if (piece.length == 0 || memmem(text, length, piece.data, piece.length) == NULL)
            continue;
        if (!array_grow(&masks->specials, &room, masks->special_count + 1))
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for token masks");
        masks->specials[masks->special_count++] = (struct special_token){token, piece};
    }
    return PDK_OK;
}

pdk_string masks_token_text(const struct masks *masks, uint32_t token)
{
    const struct guide_vocabulary *vocabulary = masks->vocabulary;
    uint32_t at = vocabulary->offsets[token], end = vocabulary->offsets[token + 1];
    if (at < end)
        return (pdk_string){vocabulary->text + at, end - at};
    for (size_t i = 0; i < masks->special_count; i++)
        if (masks->specials[i].token == token)
            return masks->specials[i].text;
    return (pdk_string){"", 0};
}

static void drop_mask(void *context, void *dropped)
{
    struct masks *masks = context;
    struct mask *mask = dropped;
    masks->bytes -= mask->bytes;
    masks->automaton->bytes -= mask->bytes;
    free(mask->open);
    free(mask);
}

static void drop_masks(struct masks *masks, bool likenesses)
{
    struct automaton *automaton = masks->automaton;
    for (uint32_t i = STATE_DEAD + 1; i < automaton->state_count; i++) {
        struct state *state = automaton->states[i];
        if (state == NULL || state->mask == NULL || (state->is_likeness && !likenesses))
            continue;
        drop_mask(masks, state->mask);
        state->mask = NULL;
    }
}

void masks_done(struct masks *masks)
{
    if (masks->automaton != NULL)
        drop_masks(masks, true);
    free(masks->states);
    free(masks->specials);
    memset(masks, 0, sizeof *masks);
}

void masks_tidy(struct masks *masks, const state_id *keep, size_t count)
{
    struct automaton *automaton = masks->automaton;
    size_t full = automaton->bytes_max / 4 * 3;
    bool failed = automaton->status == PDK_TOO_LARGE;
    if ((automaton->bytes <= full && !failed) || (automaton->status != PDK_OK && !failed))
        return;
    drop_masks(masks, false);
    if (automaton->bytes <= full / 2 && !failed)
        return;
    automaton_sweep(automaton, keep, count, !failed, drop_mask, masks);
    if (automaton->bytes > full) {
        drop_masks(masks, true);
        automaton_sweep(automaton, keep, count, false, drop_mask, masks);
    }
    if (failed && automaton->bytes <= full)
        automaton->status = PDK_OK;
}

static void allow(uint64_t *bits, uint32_t token)
{
    bits[token / 64] |= UINT64_C(1) << token % 64;
}

static inline state_id step(struct automaton *automaton, state_id from, uint8_t byte)
{
    const uint32_t *row = automaton->states[from]->row;
    if (row != NULL && row[automaton->program->classes[byte]] != STATE_UNKNOWN)
        return row[automaton->program->classes[byte]];
    return automaton_step(automaton, from, byte);
}

/* A likeness's walk has come to a node that goes on below: does what it knows end here? */
static bool look_for_end(struct automaton *automaton, state_id at, uint32_t node, uint32_t end, struct open_nodes *open)
{
    if (node < open->end)
        return true;
    if (!automaton_close(automaton, at))
        return false;
    if (!automaton->states[at]->blank_ended)
        return true;
    if (!array_grow(&open->nodes, &open->room, open->count + 1)) {
        automaton->status = PDK_NO_MEMORY;
        return false;
    }
    open->nodes[open->count++] = node;
    open->end = end;
    return true;
}

/* The groups of bytes that lead from a state back to it, as the inside of a string does. */
static uint64_t loops_of(struct automaton *automaton, state_id id)
{
    struct state *state = automaton->states[id];
    if (state->looked)
        return state->loops;
    uint64_t loops = UINT64_MAX;
    for (uint32_t byte = 0; byte < 256; byte++)
        if ((loops >> vocabulary_group((uint8_t)byte) & 1) != 0 && step(automaton, id, (uint8_t)byte) != id)
            loops &= ~(UINT64_C(1) << vocabulary_group((uint8_t)byte));
    state->looked = true;
    state->loops = loops;
    return loops;
}

static void allow_all(const struct guide_vocabulary *vocabulary, uint32_t first, uint32_t last, uint64_t *bits)
{
    for (uint32_t token = first; token < last; token++)
        allow(bits, vocabulary->tokens[token]);
}

/* Allows the tokens of the nodes below `top`, at which the automaton is in `state`. */
static bool walk(struct masks *masks, uint32_t top, state_id state, uint64_t *bits, struct open_nodes *open)
{
    const struct guide_vocabulary *vocabulary = masks->vocabulary;
    const struct vocabulary_node *nodes = vocabulary->nodes;
    struct automaton *automaton = masks->automaton;
    masks->states[nodes[top].depth] = state;
    for (uint32_t i = top + 1; i < nodes[top].end;) {
        const struct vocabulary_node *node = &nodes[i];
        state_id to = step(automaton, masks->states[node->depth - 1], node->byte);
        if (to == STATE_DEAD) {
            i = node->end;
            continue;
        }
        if (to == STATE_UNKNOWN)
            return false;
        uint32_t last = node[1].token;
        bool leaf = node->end == i + 1;
        if (!leaf && node->end - i > LARGE_SUBTREE && (vocabulary->below[i] & ~loops_of(automaton, to)) == 0) {
            last = nodes[node->end].token;
            leaf = true;
        }
        allow_all(vocabulary, node->token, last, bits);
        if (leaf) {
            i = node->end;
            continue;
        }
        masks->states[node->depth] = to;
        if (open != NULL && !look_for_end(automaton, to, i, node->end, open))
            return false;
        i++;
    }
    return true;
}

static struct mask *new_mask(struct masks *masks, const struct mask *like)
{
    size_t bytes = sizeof(struct mask) + masks->vocabulary->words * sizeof(uint64_t);
    struct mask *mask = calloc(1, bytes);
    if (mask == NULL) {
        masks->automaton->status = PDK_NO_MEMORY;
        return NULL;
    }
    mask->bytes = bytes;
    if (like != NULL)
        memcpy(mask->bits, like->bits, masks->vocabulary->words * sizeof(uint64_t));
    return mask;
}

/* Hands the mask to its state, which counts it. */
static struct mask *keep_mask(struct masks *masks, state_id id, struct mask *mask)
{
    masks->automaton->states[id]->mask = mask;
    masks->bytes += mask->bytes;
    return automaton_charge(masks->automaton, mask->bytes) ? mask : NULL;
}

static struct mask *likeness_mask(struct masks *masks, state_id id)
{
    if (masks->automaton->states[id]->mask != NULL)
        return masks->automaton->states[id]->mask;
    struct open_nodes open = {0};
    struct mask *mask = new_mask(masks, NULL);
    if (mask == NULL || !walk(masks, 0, id, mask->bits, &open)) {
        free(mask);
        free(open.nodes);
        return NULL;
    }
    mask->open = open.nodes;
    mask->open_count = (uint32_t)open.count;
    mask->bytes += open.room * sizeof *open.nodes;
    return keep_mask(masks, id, mask);
}

/* The state at `node`, from `state` at the root. */
static state_id state_at(struct masks *masks, state_id state, uint32_t node)
{
    uint8_t path[TOKEN_BYTES_MAX];
    const struct vocabulary_node *nodes = masks->vocabulary->nodes;
    uint32_t depth = nodes[node].depth;
    for (uint32_t at = node; at != 0; at = nodes[at].parent)
        path[nodes[at].depth - 1] = nodes[at].byte;
    for (uint32_t i = 0; i < depth && state > STATE_DEAD; i++)
        state = step(masks->automaton, state, path[i]);
    return state;
}

static bool allow_specials(struct masks *masks, state_id id, uint64_t *bits)
{
    for (size_t i = 0; i < masks->special_count; i++) {
        state_id to = id;
        for (size_t k = 0; k < masks->specials[i].text.length && to > STATE_DEAD; k++)
            to = step(masks->automaton, to, (uint8_t)masks->specials[i].text.data[k]);
        if (to == STATE_UNKNOWN)
            return false;
        if (to != STATE_DEAD)
            allow(bits, masks->specials[i].token);
    }
    return true;
}

const uint64_t *masks_known(const struct masks *masks, state_id id)
{
    const struct mask *mask = masks->automaton->states[id]->mask;
    return mask == NULL ? NULL : mask->bits;
}

const uint64_t *masks_of(struct masks *masks, state_id id)
{
    struct automaton *automaton = masks->automaton;
    if (masks_known(masks, id) != NULL)
        return masks_known(masks, id);
    state_id likeness = automaton_likeness(automaton, id);
    const struct mask *like = likeness == STATE_UNKNOWN ? NULL : likeness_mask(masks, likeness);
    struct mask *mask = like == NULL ? NULL : new_mask(masks, like);
    if (mask == NULL)
        return NULL;
    for (uint32_t i = 0; i < like->open_count; i++) {
        state_id at = state_at(masks, id, like->open[i]);
        if (at == STATE_UNKNOWN || (at != STATE_DEAD && !walk(masks, like->open[i], at, mask->bits, NULL))) {
            free(mask);
            return NULL;
        }
    }
    if (!allow_specials(masks, id, mask->bits)) {
        free(mask);
        return NULL;
    }
    if (automaton_ends(automaton, id))
        for (uint32_t i = 0; i < masks->vocabulary->eos_count; i++)
            allow(mask->bits, masks->vocabulary->eos_ids[i]);
    mask = keep_mask(masks, id, mask);
    return mask == NULL ? NULL : mask->bits;
}
