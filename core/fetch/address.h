/* core/fetch/address.h: which addresses belong to this machine or its networks, and not to the internet. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* Loopback, private (RFC 1918, 4193), link-local, shared (RFC 6598), multicast, unspecified; of IPv4, IPv6 and IPv4 in
 * IPv6. A family it does not know is one. */
bool address_is_private(const struct sockaddr *address);
