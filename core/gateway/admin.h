/* core/gateway/admin.h: what an administrator asks of a running daemon, beside the resources. */
#pragma once

#include "core/gateway/exchange.h"

/* POST /-/reload: reads the configuration again and answers when it has been applied whole, or with what is wrong with
 * it. A key that is limited to some services may not. [gateway-thread] */
void admin_reload(struct exchange *exchange);
