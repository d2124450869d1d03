/* Fails in init and says why. */
#include "stub.h"

#include <stdio.h>

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    (void)host, (void)ret_self;
    *err = (pdk_error){.status = PDK_UNSUPPORTED};
    snprintf(err->message, sizeof err->message, "bad cannot run on a Tuesday");
    return PDK_UNSUPPORTED;
}

STUB_ENTRY(init);
