/* runtimes/huggingface/model/printable.h: names out of files, as they may stand in a message. */
#pragma once

#include <stddef.h>

struct printable {
    char text[65];
};

/* The first 64 bytes, whatever is not printable ASCII as '?'. For `printable(name).text` among a call's arguments. */
static inline struct printable printable(const char *name)
{
    struct printable result = {{0}};
    for (size_t i = 0; i + 1 < sizeof result.text && name[i] != '\0'; i++)
        result.text[i] = (char)(name[i] >= 0x20 && name[i] <= 0x7e ? name[i] : '?');
    return result;
}
