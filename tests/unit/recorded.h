/* tests/unit/recorded.h: exchanges recorded from vLLM: the parts that would make a recorded answer, and the difference
 * between it and ours. */
#pragma once

#include "fake_exchange.h"

struct recording {
    struct fake_event *events;
    size_t count, room;
    void **kept; /* what the events borrow */
    size_t kept_count, kept_room;
};

/* Reads the answer that was recorded for `body` back into parts. False: it is none of words (an error, a list …). */
bool recording_read(const struct json *body, const char *answer, bool stream, struct recording *recording);
/* The same for an answer of /v1/responses or /v1/messages. */
void recording_read_other(const char *answer, bool stream, struct recording *recording);
void recording_done(struct recording *recording);

/* Appends a line for each place where `got` differs from `want` in keys, their order, nulls, types or values; ids,
 * times and who serves are left out. */
void recording_compare(const char *path, const struct json *got, const struct json *want, struct buffer *differences);
