/* core/gateway/listener.h: addresses to listen on, and the sockets for those that the door serves. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>

enum listener_kind { LISTENER_IPV4, LISTENER_IPV6, LISTENER_UNIX };

struct listener_address {
    enum listener_kind kind;
    char host[256]; /* without brackets; the path of a unix socket */
    unsigned port;
    bool local; /* loopback or unix: no stranger gets here */
};

/* "127.0.0.1:8080", "[::1]:8080", "unix:/run/paddock/paddock.sock". */
pdk_status listener_parse(const char *text, struct listener_address *ret_address, pdk_error *err);
/* A listening socket. A unix socket of mode 0660 replaces one that nobody listens on. */
pdk_status listener_open(const struct listener_address *address, int *ret_fd, int *ret_port, pdk_error *err);
/* The sockets that the service manager hands over (LISTEN_FDS). */
pdk_status listener_inherited(int *fds, size_t room, size_t *ret_count, pdk_error *err);
/* What an inherited socket listens on. */
pdk_status listener_describe(int fd, bool *ret_unix, bool *ret_local, int *ret_port, pdk_error *err);
