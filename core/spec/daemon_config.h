/* core/spec/daemon_config.h: paddock.conf, the daemon's own settings, in libconfig syntax. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DAEMON_LISTENERS_MAX = 16 };

struct daemon_config {
    struct {
        char address[256];
        bool door;
        char certificate[256];
    } listeners[DAEMON_LISTENERS_MAX];
    size_t listener_count; /* 0: not given */
    unsigned connections;  /* 512 */
    char domain[254];      /* "example.com" */
    char sandbox[16];      /* "on", "strict" or "off" */
    int log_level;         /* syslog's; info */
    bool access_log;       /* true */
    uint32_t load_deadline_s, ping_deadline_s, step_deadline_s, drain_s;
};

void daemon_config_default(struct daemon_config *config);
/* Reads `path` over `config`, limits included (core/base/limits.h). A file that is not there changes nothing. Errors
 * name file, line, field, value and limit; then nothing changed. */
pdk_status daemon_config_read(const char *path, struct daemon_config *config, pdk_error *err);
/* The same from a text; `path` is for messages. */
pdk_status daemon_config_read_text(
    const char *path, const char *text, size_t length, struct daemon_config *config, pdk_error *err);
