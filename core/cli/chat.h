/* core/cli/chat.h: asking a model in the terminal. */
#pragma once

#include "core/cli/client.h"

#include <paddock/abi.h>
#include <signal.h>

/* Set by ^C: the answer being written ends, the program goes on or leaves. */
extern volatile sig_atomic_t chat_interrupted;

/* Sends `prompt` as a user's message (or as it is, when the model has no chat template) and writes the answer to stdout as
 * it comes. */
pdk_status chat_once(const struct client *client, const char *model, const char *prompt, pdk_error *err);
/* A conversation: reads lines from stdin until its end or /bye. */
pdk_status chat_loop(const struct client *client, const char *model, pdk_error *err);
