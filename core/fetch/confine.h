/* core/fetch/confine.h: the cage of paddock-fetch, which reads bytes of the whole internet. */
#pragma once

#include <paddock/abi.h>

/* From here on this process starts no program, gains no privilege and writes nowhere but below `folder`. What the
 * kernel lacks of it is left out. [main-thread], before any other thread */
pdk_status confine_to(const char *folder, pdk_error *err);
