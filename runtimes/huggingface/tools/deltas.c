/* See the header. */
#include "config.h"

#include "runtimes/huggingface/tools/deltas.h"

#include "core/base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void deltas_done(struct deltas *deltas)
{
    free(deltas->list);
    free(deltas->shown);
    buffer_done(&deltas->text);
    *deltas = (struct deltas){0};
}

void deltas_clear(struct deltas *deltas)
{
    deltas->count = 0;
    buffer_clear(&deltas->text);
}

static struct delta *add(struct deltas *deltas, int32_t kind, uint32_t call)
{
    if (!array_grow(&deltas->list, &deltas->room, deltas->count + 1)) {
        deltas->failed = true;
        return NULL;
    }
    struct delta *delta = &deltas->list[deltas->count++];
    *delta = (struct delta){.kind = kind, .call = call};
    return delta;
}

void deltas_put(struct deltas *deltas, int32_t kind, uint32_t call, const char *text, size_t length)
{
    if (length == 0)
        return;
    struct delta *last = deltas->count > 0 ? &deltas->list[deltas->count - 1] : NULL;
    if (last == NULL || last->kind != kind || last->call != call)
        last = add(deltas, kind, call);
    if (last == NULL)
        return;
    buffer_put(&deltas->text, text, length);
    last->length += length;
}

void deltas_call(struct deltas *deltas, uint32_t call, const char *name, size_t length, const char *id)
{
    struct delta *delta = add(deltas, PDK_DELTA_CALL, call);
    if (delta == NULL)
        return;
    buffer_put(&deltas->text, name, length);
    delta->length = length;
    snprintf(delta->id, sizeof delta->id, "%s", id);
}

bool deltas_failed(const struct deltas *deltas)
{
    return deltas->failed || deltas->text.failed;
}

const pdk_delta *deltas_show(struct deltas *deltas)
{
    if (deltas_failed(deltas) || !array_grow(&deltas->shown, &deltas->shown_room, deltas->count)) {
        deltas->failed = true;
        return NULL;
    }
    const char *at = deltas->text.data != NULL ? deltas->text.data : "";
    for (size_t i = 0; i < deltas->count; i++) {
        const struct delta *delta = &deltas->list[i];
        deltas->shown[i] = (pdk_delta){.kind = delta->kind,
            .call = delta->call,
            .text = {at, delta->length},
            .call_id = {delta->id, strlen(delta->id)}};
        at += delta->length;
    }
    return deltas->shown;
}
