/* core/gateway/door_relay.h: one client of the door, from accept to close. Everything here is the door's thread's, but
 * for `fd`, `local` and `keep`, which gateway threads reach through the door's table under its lock. [door-thread] */
#pragma once

#include "core/base/buffer.h"
#include "core/gateway/framing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum relay_state {
    RELAY_HEAD,    /* waits for a whole head; no inner connection */
    RELAY_ANSWER,  /* a request is with CivetWeb */
    RELAY_CLOSING, /* all was said; what the client still sends is dropped, so that it can read our last words */
    RELAY_GONE     /* to be freed */
};

struct relay;

/* What epoll hands back: which end of which client. */
struct relay_end {
    struct relay *relay; /* NULL: a listener */
    int fd;
    uint32_t events; /* asked for; 0: not in the set */
    bool local;      /* of a listener: a unix socket */
};

struct relay {
    struct relay_end client, inner;
    struct relay *previous, *next;
    enum relay_state state;
    uint16_t port;   /* of our end of the inner connection; 0: not in the table */
    uint64_t serial; /* of that connection: its port may be another's before CivetWeb is through with it */
    bool local;
    bool keep;         /* the gateway's word: the answer is whole and the client may go on */
    bool inner_ended;  /* CivetWeb has closed its end */
    bool answered;     /* a byte of the present answer went to the client */
    size_t head_left;  /* bytes of the head that the inner end has not had */
    size_t scanned;    /* of `in`, by head_end */
    size_t drop_left;  /* CLOSING: bytes that are still taken and dropped */
    size_t body_ready; /* bytes of `in` behind the head that framing has passed */
    struct framing framing;
    struct buffer in, out; /* from the client; for the client */
    int64_t deadline_ms;   /* 0: none */
};

/* Where relays live: the door's parts that they touch. */
struct relay_host {
    int epoll;
    uint16_t inner_port;
    bool draining;
    uint64_t serial;
    size_t answering, answers_max; /* requests that are with CivetWeb */
    void *context;
    /* Enters or leaves the table of ports. */
    void (*enter)(void *context, struct relay *relay);
    void (*leave)(void *context, struct relay *relay);
    bool (*may_keep)(void *context, struct relay *relay);
};

struct relay *relay_new(struct relay_host *host, int fd_take, bool local); /* NULL: out of memory */
/* Something happened at `end`. Afterwards the relay may be RELAY_GONE: its owner frees it. */
void relay_step(struct relay_host *host, struct relay_end *end, uint32_t events);
void relay_late(struct relay_host *host, struct relay *relay, int64_t now_ms);
void relay_drain(struct relay_host *host, struct relay *relay);
void relay_free(struct relay_host *host, struct relay *relay);
