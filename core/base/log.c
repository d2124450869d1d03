/* stderr lines carry syslog's "<n>" when the journal reads them (JOURNAL_STREAM is set), which gives them their
 * priority without a further library; fields are then sent through the journal's own socket by whoever links it. */
#include "config.h"

#include "core/base/log.h"

#include "core/base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program = "paddock";
static _Atomic int threshold = LOG_LEVEL_INFO;
static bool priority_prefix;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

void log_open(const char *name, enum log_level level)
{
    program = name;
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
    priority_prefix = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static size_t put_head(char *line, size_t room, enum log_level level, const struct log_fields *fields)
{
    static const char *const names[] = {[3] = "error", [4] = "warning", [5] = "notice", [6] = "info", [7] = "debug"};
    int length = priority_prefix ? snprintf(line, room, "<%d>", (int)level)
                                 : snprintf(line, room, "%s: %s: ", program, names[level]);
    if (fields != NULL && fields->replica != NULL)
        length += snprintf(line + length, room - (size_t)length, "%.128s: ", fields->replica);
    else if (fields != NULL && fields->service != NULL)
        length += snprintf(line + length, room - (size_t)length, "%.128s: ", fields->service);
    if (fields != NULL && fields->request != NULL)
        length += snprintf(line + length, room - (size_t)length, "[%.128s] ", fields->request);
    return (size_t)length;
}

void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
    if (!log_wants(level))
        return;
    char line[2048];
    size_t length = put_head(line, sizeof line - 2, level, fields);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line + length, sizeof line - 1 - length, format, arguments);
    va_end(arguments);
    length += written < 0 ? 0 : (size_t)written;
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length); /* one write, so that lines of threads do not mix */
    (void)ignored;
}

bool log_limit_pass(struct log_limit *limit, uint32_t burst, uint32_t *ret_dropped)
{
    int64_t second = monotonic_ms() / 1000;
    pthread_mutex_lock(&limit_lock);
    if (limit->second != second) {
        limit->second = second;
        limit->seen = 0;
    }
    bool pass = limit->seen < burst;
    if (pass) {
        limit->seen++;
        *ret_dropped = limit->dropped;
        limit->dropped = 0;
    } else {
        limit->dropped++;
    }
    pthread_mutex_unlock(&limit_lock);
    return pass;
}
