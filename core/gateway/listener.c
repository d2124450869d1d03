/* See the header. */
#include "config.h"

#include "core/gateway/listener.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

enum { BACKLOG = 4096 };

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

static bool read_port(const char *text, unsigned *ret_port)
{
    unsigned port = 0;
    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
    }
    *ret_port = port;
    return port <= 65535;
}

static bool is_loopback(const union any_address *address)
{
    if (address->any.sa_family == AF_UNIX)
        return true;
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* The socket address; false: not an address. */
static bool make_address(const struct listener_address *from, union any_address *to, socklen_t *ret_length)
{
    *to = (union any_address){0};
    if (from->kind == LISTENER_UNIX) {
        if (strlen(from->host) >= sizeof to->local.sun_path)
            return false;
        to->local.sun_family = AF_UNIX;
        memcpy(to->local.sun_path, from->host, strlen(from->host) + 1);
        *ret_length = sizeof to->local;
        return true;
    }
    if (from->kind == LISTENER_IPV4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons((uint16_t)from->port);
        *ret_length = sizeof to->v4;
        return inet_pton(AF_INET, from->host, &to->v4.sin_addr) == 1;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons((uint16_t)from->port);
    *ret_length = sizeof to->v6;
    return inet_pton(AF_INET6, from->host, &to->v6.sin6_addr) == 1;
}

pdk_status listener_parse(const char *text, struct listener_address *ret_address, pdk_error *err)
{
    struct listener_address address = {0};
    bool fine;
    if (strncmp(text, "unix:", 5) == 0) {
        address.kind = LISTENER_UNIX;
        fine = text[5] == '/' && strlen(text + 5) < sizeof address.host;
        if (fine)
            memcpy(address.host, text + 5, strlen(text + 5) + 1);
    } else {
        const char *colon = strrchr(text, ':');
        bool brackets = *text == '[' && colon != NULL && colon > text + 1 && colon[-1] == ']';
        size_t length = colon == NULL ? 0 : (size_t)(colon - text) - (brackets ? 2 : 0);
        fine = length > 0 && length < sizeof address.host && read_port(colon + 1, &address.port);
        if (fine)
            memcpy(address.host, text + (brackets ? 1 : 0), length);
        address.kind = brackets ? LISTENER_IPV6 : LISTENER_IPV4;
        if (fine && strcmp(address.host, "localhost") == 0)
            memcpy(address.host, "127.0.0.1", sizeof "127.0.0.1");
    }
    union any_address socket_address;
    socklen_t length;
    if (!fine || !make_address(&address, &socket_address, &length))
        return pdk_error_value(err, PDK_INVALID, "listen", text,
            "cannot listen on '%.64s'; it may be 127.0.0.1:8080, [::1]:8080 or unix:/run/paddock/paddock.sock", text);
    address.local = is_loopback(&socket_address);
    *ret_address = address;
    return PDK_OK;
}

/* A socket file that a dead process left behind is in the way; one that is alive stays. */
static void remove_stale(const union any_address *address, socklen_t length)
{
    struct stat info;
    if (lstat(address->local.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return;
    PDK_AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0 && connect(probe, &address->any, length) != 0 && errno == ECONNREFUSED)
        unlink(address->local.sun_path);
}

pdk_status listener_open(const struct listener_address *address, int *ret_fd, int *ret_port, pdk_error *err)
{
    union any_address bound;
    socklen_t length;
    if (!make_address(address, &bound, &length))
        return pdk_error_set(err, PDK_INVALID, "listen", "'%.64s' is no address", address->host);
    PDK_AUTO_CLOSE int fd = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return pdk_error_errno(err, errno, "listen", "cannot listen on %s", address->host);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* A dual-stack socket would take the IPv4 port away from kubectl port-forward. */
    if (address->kind == LISTENER_IPV6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (address->kind == LISTENER_UNIX) {
        remove_stale(&bound, length);
        fchmod(fd, 0660); /* before bind, so that the file is never wider */
    }
    if (bind(fd, &bound.any, length) != 0)
        return pdk_error_errno(err, errno, "listen", "cannot listen on %s", address->host);
    if (address->kind == LISTENER_UNIX && chmod(address->host, 0660) != 0)
        return pdk_error_errno(err, errno, "listen", "cannot set the mode of %s", address->host);
    if (listen(fd, BACKLOG) != 0)
        return pdk_error_errno(err, errno, "listen", "cannot listen on %s", address->host);
    bool is_unix, local;
    pdk_status status = listener_describe(fd, &is_unix, &local, ret_port, err);
    if (status != PDK_OK)
        return status;
    *ret_fd = PDK_STEAL_FD(fd);
    return PDK_OK;
}

pdk_status listener_describe(int fd, bool *ret_unix, bool *ret_local, int *ret_port, pdk_error *err)
{
    union any_address address = {0};
    socklen_t length = sizeof address;
    int listening = 0;
    socklen_t option = sizeof listening;
    if (getsockname(fd, &address.any, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option) != 0)
        return pdk_error_errno(err, errno, "listen", "descriptor %d is no socket", fd);
    if (!listening)
        return pdk_error_set(err, PDK_INVALID, "listen", "descriptor %d is no listening socket", fd);
    *ret_unix = address.any.sa_family == AF_UNIX;
    *ret_local = is_loopback(&address);
    *ret_port = address.any.sa_family == AF_INET    ? ntohs(address.v4.sin_port)
                : address.any.sa_family == AF_INET6 ? ntohs(address.v6.sin6_port)
                                                    : 0;
    return PDK_OK;
}

pdk_status listener_inherited(int *fds, size_t room, size_t *ret_count, pdk_error *err)
{
    int count = sd_listen_fds(1);
    if (count < 0)
        return pdk_error_errno(err, -count, "listen", "cannot take the sockets that systemd hands over");
    if ((size_t)count > room)
        return pdk_error_set(
            err, PDK_TOO_LARGE, "listen", "systemd hands over %d sockets; at most %zu are served", count, room);
    for (int i = 0; i < count; i++) {
        fds[i] = SD_LISTEN_FDS_START + i;
        int flags = fcntl(fds[i], F_GETFL);
        if (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) != 0)
            return pdk_error_errno(err, errno, "listen", "cannot use the socket that systemd hands over");
    }
    *ret_count = (size_t)count;
    return PDK_OK;
}
