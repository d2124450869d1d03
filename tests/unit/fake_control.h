/* tests/unit/fake_control.h: core/control/control.h with canned services: opt-125 (ready, generates), iris (ready,
 * infers), broken (in backoff), slow (loads for ever). */
#pragma once

#include "core/control/control.h"

void fake_control_drain(void); /* control_is_draining from now on */
