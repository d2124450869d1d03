/* CivetWeb tells no descriptor, and without one neither a deadline nor a client that leaves can be seen. A socket is
 * known by the addresses of its two ends, so descriptors are asked in order; once a connection. */
#include "config.h"

#include "core/gateway/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

static bool is_peer(int fd, in_addr_t address, uint16_t port, uint16_t own_port)
{
    struct sockaddr_storage end;
    socklen_t length = sizeof end;
    if (getpeername(fd, (struct sockaddr *)&end, &length) != 0 || end.ss_family != AF_INET)
        return false;
    const struct sockaddr_in *inet = (const struct sockaddr_in *)&end;
    if (inet->sin_port != htons(port) || inet->sin_addr.s_addr != address)
        return false;
    length = sizeof end;
    return getsockname(fd, (struct sockaddr *)&end, &length) == 0 && end.ss_family == AF_INET &&
           inet->sin_port == htons(own_port);
}

int peer_find(const char *address, uint16_t port, uint16_t own_port)
{
    struct in_addr wanted;
    if (inet_pton(AF_INET, address, &wanted) != 1)
        return -1;
    /* Descriptors are dense from below; the first long gap is the end. */
    enum { GAP = 256 };
    for (int fd = 3, missing = 0; missing < GAP; fd++) {
        int type;
        socklen_t length = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
            missing = errno == EBADF ? missing + 1 : 0;
            continue;
        }
        missing = 0;
        if (type == SOCK_STREAM && is_peer(fd, wanted.s_addr, port, own_port))
            return fd;
    }
    return -1;
}

uint64_t peer_received(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    return info.tcpi_bytes_received;
}
