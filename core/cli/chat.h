/* core/cli/chat.h: asking a model in the terminal. */
#pragma once

#include "core/cli/client.h"

#include <paddock/abi.h>
#include <signal.h>

/* Set by ^C: the answer being written ends, the program goes on or leaves. */
extern volatile sig_atomic_t chat_interrupted;

/* What is asked of the model beside the words. */
struct chat_settings {
    const char *temperature; /* as written, or NULL: the model's own */
    const char *max_tokens;  /* NULL: 1024, lest a small model never end */
};
/* PDK_INVALID: a setting that is no number. */
pdk_status chat_settings_check(const struct chat_settings *settings, pdk_error *err);

/* Sends `prompt` as a user's message (or as it is, when the model has no chat template) and writes the answer to stdout
 * as it comes. */
pdk_status chat_once(const struct client *client, const char *model, const struct chat_settings *settings,
    const char *prompt, pdk_error *err);
/* A conversation: reads lines from stdin until its end or /bye. */
pdk_status chat_loop(
    const struct client *client, const char *model, const struct chat_settings *settings, pdk_error *err);
