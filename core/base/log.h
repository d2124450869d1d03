/* core/base/log.h: one line an event, to the journal where there is one, else to stderr. Levels are syslog's. Never a
 * prompt, completion, key or token above debug. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/* What an event is about; NULL fields are left out. */
struct log_fields {
    const char *message_id; /* 32 hex digits of a state change, explained in etc/paddock.catalog */
    const char *service, *revision, *replica, *runtime, *request, *reason;
};

/* Called once, before threads. `name` stands before lines on stderr. */
void log_open(const char *name, enum log_level level);
void log_set_level(enum log_level level); /* [any-thread] */
bool log_wants(enum log_level level);
/* Writes "SERVICE/REPLICA: message". `fields` may be NULL. [any-thread] */
void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...) PDK_PRINTF(3, 4);

/* At most `burst` lines a second from one place; the rest are counted and told with the next line that passes. */
struct log_limit {
    int64_t second;
    uint32_t seen, dropped;
};
/* True when a line may be written now; *ret_dropped: lines left out since the last. [any-thread] */
bool log_limit_pass(struct log_limit *limit, uint32_t burst, uint32_t *ret_dropped);
