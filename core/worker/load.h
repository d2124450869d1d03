/* core/worker/load.h: a load frame in, a ready frame out. */
#pragma once

#include "core/worker/worker.h"

/* Loads what the frame's JSON asks for, fills worker->model and the other tables, and puts the ready frame.
 * [main-thread] */
pdk_status load_model(struct worker *worker, const struct frame *frame, pdk_error *err);
