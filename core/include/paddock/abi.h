/* What every Paddock interface shares: sizes of tables, statuses, errors, strings. */
#ifndef PADDOCK_ABI_H
#define PADDOCK_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether `table` was built with `member` and has set it. Works across versions in both directions, as tables only ever
 * grow at the end and start with their own size. */
#define PDK_HAS(table, member) \
    ((table)->size >= offsetof(__typeof__(*(table)), member) + sizeof((table)->member) && (table)->member)

/* Marks the one symbol that a plugin exports. */
#if defined(__GNUC__)
#define PDK_EXPORT              __attribute__((visibility("default")))
#define PDK_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define PDK_EXPORT
#define PDK_PRINTF(text, first)
#endif

/* What became of a call. Values never change; new ones are added at the end. A caller treats an unknown one as
 * PDK_INTERNAL. */
typedef int32_t pdk_status;
enum {
    PDK_OK = 0,
    PDK_INVALID = 1,          /* the caller's input is wrong; the error names field, value and limit */
    PDK_NOT_FOUND = 2,        /* no such model, service, file, token */
    PDK_UNSUPPORTED = 3,      /* understood, and not to be had here */
    PDK_BUSY = 4,             /* a queue is full; later it may work */
    PDK_FULL = 5,             /* taken, and no more is wanted until `writable` */
    PDK_CANCELLED = 6,        /* somebody asked that it end */
    PDK_UNAVAILABLE = 7,      /* who should answer is gone or not there yet */
    PDK_TIMEOUT = 8,          /* a deadline passed */
    PDK_NO_MEMORY = 9,        /* an allocation or a budget failed */
    PDK_TOO_LARGE = 10,       /* over a size limit; the error names it */
    PDK_DENIED = 11,          /* known, and not allowed */
    PDK_UNAUTHENTICATED = 12, /* not known */
    PDK_CONFLICT = 13,        /* does not fit the present state */
    PDK_IO = 14,              /* the system or a device failed */
    PDK_INTERNAL = 15,        /* our own mistake */
    PDK_STATUS_COUNT = 16
};

enum { PDK_ERROR_FIELD_MAX = 96, PDK_ERROR_VALUE_MAX = 72, PDK_ERROR_MESSAGE_MAX = 512 };

/* Why a call failed. The caller owns it, usually on its stack: nothing to allocate or free. Every pointer to one may be
 * NULL. Texts are UTF-8, end in NUL and are cut at a character's border. */
typedef struct pdk_error {
    pdk_status status;
    int32_t reserved;
    char field[PDK_ERROR_FIELD_MAX];     /* the field, argument or file at fault, or "" */
    char value[PDK_ERROR_VALUE_MAX];     /* its offending value as text, or "" */
    char message[PDK_ERROR_MESSAGE_MAX]; /* a sentence for a person, with the value and the limit */
} pdk_error;

/* A run of UTF-8 bytes that need not end in NUL. Borrowed for the call unless said otherwise. */
typedef struct pdk_string {
    const char *data;
    size_t length;
} pdk_string;

#ifdef __cplusplus
}
#endif
#endif
