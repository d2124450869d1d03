/* See the header. */
#include "config.h"

#include "core/fetch/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static bool private4(uint32_t host_order)
{
    static const struct {
        uint32_t network, mask;
    } ranges[] = {
        {0x00000000, 0xFF000000},
        {0x0A000000, 0xFF000000},
        {0x64400000, 0xFFC00000},
        {0x7F000000, 0xFF000000},
        {0xA9FE0000, 0xFFFF0000},
        {0xAC100000, 0xFFF00000},
        {0xC0000000, 0xFFFFFF00},
        {0xC0A80000, 0xFFFF0000},
        {0xC6120000, 0xFFFE0000},
        {0xE0000000, 0xE0000000},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if ((host_order & ranges[i].mask) == ranges[i].network)
            return true;
    return false;
}

static bool private6(const struct in6_addr *address)
{
    const unsigned char *b = address->s6_addr;
    static const unsigned char zeros[15];
    if (IN6_IS_ADDR_V4MAPPED(address) || (memcmp(b, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12) == 0)) {
        uint32_t inner;
        memcpy(&inner, b + 12, sizeof inner);
        return private4(ntohl(inner));
    }
    return (memcmp(b, zeros, 15) == 0 && b[15] <= 1) || (b[0] & 0xFE) == 0xFC ||
           (b[0] == 0xFE && (b[1] & 0x80) == 0x80) || b[0] == 0xFF;
}

bool address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return private4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return private6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return true;
}
