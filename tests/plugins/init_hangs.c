/* Never comes back from init. */
#include "stub.h"

#include <poll.h>

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    (void)host, (void)ret_self, (void)err;
    for (;;)
        poll(NULL, 0, 1000);
    return PDK_INTERNAL;
}

STUB_ENTRY(init);
