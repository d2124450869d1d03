/* core/gateway/door.h: the door: one thread that accepts what CivetWeb cannot listen on (unix sockets, IPv6, inherited
 * sockets) and listeners with thousands of idle clients. It waits for a whole head, checks it, and only then opens a
 * connection of its own to CivetWeb's loopback end, one for each request, and relays. An idle client costs it a few
 * hundred bytes and no thread. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct door;

/* `inner_port` is where CivetWeb listens on 127.0.0.1; above `answers_max` requests at once the door says 503. [init]
 */
pdk_status door_start(uint16_t inner_port, size_t answers_max, struct door **ret_door, pdk_error *err);
/* Takes a listening socket. `local`: a unix socket. [init] */
pdk_status door_listen_take(struct door *door, int fd, bool local, pdk_error *err);
/* Accepts no more and closes idle clients; what is being answered goes on. [any-thread] */
void door_drain(struct door *door);
struct door *door_stop(struct door *door); /* takes NULL, returns NULL. [main-thread] */

/* Who stands behind an inner connection. */
struct door_client {
    uint16_t port;
    bool local;      /* came over a unix socket */
    uint64_t serial; /* of the connection, as ports come again */
    int fd;          /* a duplicate of the client's socket, for the caller to close */
};

/* The client behind the inner connection that comes from `address`:`port`. False: the door opened no such connection.
 * [gateway-thread] */
bool door_client(struct door *door, const char *address, uint16_t port, struct door_client *ret_client);
/* The answer to `client` is whole, and its connection may serve another request. [gateway-thread] */
void door_keep(struct door *door, const struct door_client *client);
