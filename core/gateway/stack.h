/* core/gateway/stack.h: what an idle thread of CivetWeb's gives back. */
#pragma once

/* Returns the pages of this thread's stack below the caller to the system. A server has hundreds of threads that take
 * turns: without this each would go on holding what its deepest request ever touched. [gateway-thread] */
void stack_release(void);
