/* Every public header, as C99 and as C++11, with nothing included before it. Compiled once for each by `headers`. */
#if defined(PADDOCK_HEADER)
#include PADDOCK_HEADER
#endif

#include <paddock/compute.h>
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/draft/ops.h>
#include <paddock/draft/options.h>
#include <paddock/draft/request.h>
#include <paddock/runtime.h>

int headers_use(const pdk_generate *table);

int headers_use(const pdk_generate *table)
{
    return PDK_HAS(table, writable) ? 1 : 0;
}
