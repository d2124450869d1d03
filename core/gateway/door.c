/* One thread, one epoll set, level-triggered. The table of ports is how a gateway thread learns who it talks to: an
 * entry is made before the inner connection carries a byte and taken away before the client's descriptor is closed. */
#include "config.h"

#include "core/gateway/door.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/gateway/door_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { LISTENERS_MAX = 32, EVENTS = 256, SWEEP_MS = 500, ACCEPTS = 64, PORTS = 65536 };

struct door {
    struct relay_host host;
    pthread_t thread;
    struct relay_end listeners[LISTENERS_MAX];
    size_t listener_count;
    int wake;            /* eventfd: look at `orders` */
    int reserve;         /* given up to close a client when descriptors run out */
    atomic_uint orders;  /* ORDER_… */
    struct relay *first; /* door-thread only, like `count` */
    size_t count;
    int64_t swept_ms;
    struct mutex lock; /* by_port, and keep of the relays in it */
    struct relay **by_port;
};

enum { ORDER_DRAIN = 1, ORDER_STOP = 2 };

/* Unix sockets' relays have loopback ports of their own address. */
static struct relay **table_slot(struct door *door, bool local, uint16_t port) PDK_REQUIRES(door->lock)
{
    return &door->by_port[(local ? PORTS : 0) + port];
}

static void table_enter(void *context, struct relay *relay)
{
    struct door *door = context;
    mutex_lock(&door->lock);
    *table_slot(door, relay->local, relay->port) = relay;
    mutex_unlock(&door->lock);
}

static void table_leave(void *context, struct relay *relay)
{
    struct door *door = context;
    mutex_lock(&door->lock);
    *table_slot(door, relay->local, relay->port) = NULL;
    mutex_unlock(&door->lock);
    relay->port = 0;
}

static bool table_may_keep(void *context, struct relay *relay)
{
    struct door *door = context;
    mutex_lock(&door->lock);
    bool keep = relay->keep;
    mutex_unlock(&door->lock);
    return keep;
}

bool door_client(struct door *door, const char *address, uint16_t port, struct door_client *ret_client)
{
    bool local = strcmp(address, "127.0.0.2") == 0;
    if (!local && strcmp(address, "127.0.0.1") != 0)
        return false;
    mutex_lock(&door->lock);
    const struct relay *relay = *table_slot(door, local, port);
    if (relay != NULL)
        *ret_client = (struct door_client){
            .port = port, .local = local, .serial = relay->serial, .fd = fcntl(relay->client.fd, F_DUPFD_CLOEXEC, 3)};
    mutex_unlock(&door->lock);
    return relay != NULL;
}

void door_keep(struct door *door, const struct door_client *client)
{
    mutex_lock(&door->lock);
    struct relay *relay = *table_slot(door, client->local, client->port);
    if (relay != NULL && relay->serial == client->serial)
        relay->keep = true;
    mutex_unlock(&door->lock);
}

static void remove_relay(struct door *door, struct relay *relay)
{
    if (relay->previous != NULL)
        relay->previous->next = relay->next;
    else
        door->first = relay->next;
    if (relay->next != NULL)
        relay->next->previous = relay->previous;
    door->count--;
    relay_free(&door->host, relay);
}

static void add_client(struct door *door, int fd, bool local)
{
    static const char full[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (door->count >= limit_get(LIMIT_CONNECTIONS)) {
        send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* no effect on a unix socket */
    struct relay *relay = relay_new(&door->host, fd, local);
    if (relay == NULL)
        return;
    relay->next = door->first;
    if (door->first != NULL)
        door->first->previous = relay;
    door->first = relay;
    door->count++;
}

/* Out of descriptors, a client that cannot be taken must still leave the backlog, or epoll spins. */
static void shed_client(struct door *door, int listener)
{
    static struct log_limit limit;
    uint32_t dropped;
    if (log_limit_pass(&limit, 1, &dropped))
        log_event(LOG_LEVEL_WARNING, NULL, "the door has no descriptor left (LimitNOFILE): a client is turned away");
    if (door->reserve >= 0)
        close(door->reserve);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    door->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_clients(struct door *door, const struct relay_end *listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            add_client(door, fd, listener->local);
        } else {
            if (errno == EMFILE || errno == ENFILE)
                shed_client(door, listener->fd);
            return;
        }
    }
}

static void drain(struct door *door)
{
    door->host.draining = true;
    for (size_t i = 0; i < door->listener_count; i++) {
        epoll_ctl(door->host.epoll, EPOLL_CTL_DEL, door->listeners[i].fd, NULL);
        close(door->listeners[i].fd);
        door->listeners[i].fd = -1;
    }
    door->listener_count = 0;
    for (struct relay *relay = door->first; relay != NULL; relay = relay->next)
        relay_drain(&door->host, relay);
}

/* Deadlines, and the clients that left; a walk of thousands twice a second is nothing. */
static void sweep(struct door *door, int64_t now_ms)
{
    for (struct relay *relay = door->first; relay != NULL;) {
        struct relay *next = relay->next;
        relay_late(&door->host, relay, now_ms);
        if (relay->state == RELAY_GONE)
            remove_relay(door, relay);
        relay = next;
    }
    door->swept_ms = now_ms;
}

static bool take_orders(struct door *door)
{
    uint64_t count;
    if (read(door->wake, &count, sizeof count) < 0 && errno != EAGAIN)
        return false;
    unsigned orders = atomic_load_explicit(&door->orders, memory_order_acquire); /* pairs with give_order */
    if ((orders & (ORDER_DRAIN | ORDER_STOP)) != 0 && !door->host.draining)
        drain(door);
    return (orders & ORDER_STOP) == 0;
}

/* Handles one wake-up's events. Relays that end are freed behind it, as later events may still point to them. */
static bool handle_events(struct door *door, struct epoll_event *events, int count)
{
    bool going = true;
    for (int i = 0; i < count; i++) {
        struct relay_end *end = events[i].data.ptr;
        if (end == NULL)
            going = take_orders(door);
        else if (end->relay == NULL)
            accept_clients(door, end);
        else
            relay_step(&door->host, end, events[i].events);
    }
    for (int i = 0; i < count; i++) {
        const struct relay_end *end = events[i].data.ptr;
        if (end == NULL || end->relay == NULL || end->relay->state != RELAY_GONE)
            continue;
        struct relay *relay = end->relay;
        /* Both ends of one relay may be among the events. */
        for (int j = i; j < count; j++)
            if (events[j].data.ptr == &relay->client || events[j].data.ptr == &relay->inner)
                events[j].data.ptr = NULL;
        remove_relay(door, relay);
    }
    return going;
}

static void *run(void *argument)
{
    struct door *door = argument;
    PDK_AUTO_FREE struct epoll_event *events = calloc(EVENTS, sizeof *events);
    if (events == NULL)
        return NULL;
    for (bool going = true; going;) {
        int count = epoll_wait(door->host.epoll, events, EVENTS, door->count != 0 ? SWEEP_MS : -1);
        if (count < 0 && errno != EINTR)
            break;
        if (count > 0)
            going = handle_events(door, events, count);
        int64_t now_ms = monotonic_ms();
        if (now_ms - door->swept_ms >= SWEEP_MS)
            sweep(door, now_ms);
    }
    return NULL;
}

static void give_order(struct door *door, unsigned order)
{
    atomic_fetch_or_explicit(&door->orders, order, memory_order_release); /* pairs with take_orders */
    uint64_t one = 1;
    while (write(door->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static struct door *door_free(struct door *door)
{
    while (door->first != NULL)
        remove_relay(door, door->first);
    for (size_t i = 0; i < door->listener_count; i++)
        close(door->listeners[i].fd);
    if (door->host.epoll >= 0)
        close(door->host.epoll);
    if (door->wake >= 0)
        close(door->wake);
    if (door->reserve >= 0)
        close(door->reserve);
    mutex_done(&door->lock);
    free(door->by_port);
    free(door);
    return NULL;
}

PDK_DEFINE_CLEANUP(struct door, door_free)

pdk_status door_start(uint16_t inner_port, size_t answers_max, struct door **ret_door, pdk_error *err)
{
    PDK_CLEANUP(door_freep) struct door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "door", "out of memory");
    mutex_init(&door->lock);
    door->by_port = calloc((size_t)2 * PORTS, sizeof *door->by_port); /* pages come as ports are used */
    door->host = (struct relay_host){.inner_port = inner_port,
        .answers_max = answers_max,
        .context = door,
        .enter = table_enter,
        .leave = table_leave,
        .may_keep = table_may_keep,
        .epoll = epoll_create1(EPOLL_CLOEXEC)};
    door->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    door->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (door->by_port == NULL || door->host.epoll < 0 || door->wake < 0)
        return pdk_error_set(err, PDK_NO_MEMORY, "door", "cannot make the door: out of memory or descriptors");
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(door->host.epoll, EPOLL_CTL_ADD, door->wake, &event) != 0)
        return pdk_error_errno(err, errno, "door", "cannot make the door");
    pdk_status status = thread_start(&door->thread, THREAD_DOOR, "door", run, door, err);
    if (status != PDK_OK)
        return status;
    *ret_door = PDK_STEAL(door);
    return PDK_OK;
}

pdk_status door_listen_take(struct door *door, int fd, bool local, pdk_error *err)
{
    if (door->listener_count == LISTENERS_MAX) {
        close(fd);
        return pdk_error_set(err, PDK_TOO_LARGE, "listen", "the door takes %d listeners at most", LISTENERS_MAX);
    }
    struct relay_end *end = &door->listeners[door->listener_count];
    *end = (struct relay_end){.fd = fd, .local = local};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};
    if (epoll_ctl(door->host.epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        int number = errno;
        close(fd);
        return pdk_error_errno(err, number, "listen", "the door cannot watch its listener");
    }
    door->listener_count++;
    return PDK_OK;
}

void door_drain(struct door *door)
{
    give_order(door, ORDER_DRAIN);
}

struct door *door_stop(struct door *door)
{
    if (door == NULL)
        return NULL;
    give_order(door, ORDER_STOP);
    pthread_join(door->thread, NULL);
    return door_free(door);
}
