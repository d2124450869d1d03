/* core/gateway/peer.h: the descriptor of a connection that a library keeps to itself. */
#pragma once

#include <stdint.h>

/* The open IPv4 socket whose peer is `address`:`port` and whose own port is `own_port`, or -1. */
int peer_find(const char *address, uint16_t port, uint16_t own_port);

/* Bytes that have come over the connection `fd` since it was opened; 0: cannot be told. */
uint64_t peer_received(int fd);
