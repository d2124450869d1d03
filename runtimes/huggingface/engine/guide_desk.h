/* runtimes/huggingface/engine/guide_desk.h: threads that find out which tokens choices may draw next, where that
 * takes time, while the engine makes steps for the others. */
#pragma once

#include "runtimes/huggingface/engine/generation.h"

struct guide_desk;

/* `done` is called when a choice's result is there: it sets `pending` back, behind which the choice may be gone.
 * [guide-thread] */
pdk_status guide_desk_start(
    void (*done)(void *context, struct choice *choice), void *context, struct guide_desk **ret_desk, pdk_error *err);
struct guide_desk *guide_desk_stop(struct guide_desk *desk); /* nothing is pending. Takes NULL, returns NULL */
/* Asks for the next draw of `choice`, which is `pending` until its result is there. [engine-thread] */
void guide_desk_ask(struct guide_desk *desk, struct choice *choice);
/* Waits until all that was asked for since the last call is there, but only for a moment. [engine-thread] */
void guide_desk_wait(struct guide_desk *desk);
