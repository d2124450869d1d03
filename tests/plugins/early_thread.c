/* Starts a thread when it is loaded, before the sandbox closes. */
#include "stub.h"

#include <poll.h>
#include <pthread.h>

static void *idle(void *argument)
{
    for (;;)
        poll(NULL, 0, 1000);
    return argument;
}

__attribute__((constructor)) static void start(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, idle, NULL);
}

STUB_ENTRY(stub_init);
