/* Dies in init. */
#include "stub.h"

#include <signal.h>

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    (void)host, (void)ret_self, (void)err;
    signal(SIGSEGV, SIG_DFL); /* whatever a sanitizer put there */
    raise(SIGSEGV);
    return PDK_OK;
}

STUB_ENTRY(init);
