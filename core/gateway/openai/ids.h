/* core/gateway/openai/ids.h: ids that nobody can guess: a prefix and 16 hex digits. [any-thread] */
#pragma once

enum { ID_ROOM = 48 };

struct id_text {
    char text[ID_ROOM];
};
struct id_text id_random(const char *prefix); /* of at most 30 bytes */
