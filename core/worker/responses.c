/* All state is guarded by the link's lock, which sending a part needs anyway. */
#include "config.h"

#include "core/worker/responses.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/worker/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 512, CHUNK = 64, RESTING_MIN = 256 };

struct pdk_response {
    struct responses *responses;
    struct pdk_response *next; /* in its bucket, or in the queue of resting handles */
    uint64_t id;
    bool open, cancelled, full;
    int64_t cancelled_ms;
    uint64_t sent, credited; /* bytes of parts; read by the daemon */
    pdk_error broken;        /* status not PDK_OK: what the answer ends with, whatever the runtime says */
    pdk_request request;
    void *memory;       /* what decoding built */
    void *body;         /* the request's bytes, or NULL */
    struct frame frame; /* its memfd */
};

struct chunk {
    struct chunk *next;
    struct pdk_response handles[CHUNK];
};

struct responses {
    struct link *link;
    struct chunk *chunks;
    struct pdk_response *buckets[BUCKETS];
    struct pdk_response *resting, **resting_last;
    uint32_t resting_count, count;
    uint32_t gathered; /* parts and finishes not yet sent */
};

struct responses *responses_new(struct link *link)
{
    struct responses *responses = calloc(1, sizeof *responses);
    if (responses == NULL)
        return NULL;
    responses->link = link;
    responses->resting_last = &responses->resting;
    return responses;
}

static void drop_request(struct pdk_response *response)
{
    free(response->memory);
    free(response->body);
    frame_done(&response->frame);
    response->memory = response->body = NULL;
}

struct responses *responses_free(struct responses *responses)
{
    if (responses == NULL)
        return NULL;
    while (responses->chunks != NULL) {
        struct chunk *chunk = responses->chunks;
        responses->chunks = chunk->next;
        for (size_t i = 0; i < CHUNK; i++)
            drop_request(&chunk->handles[i]);
        free(chunk);
    }
    free(responses);
    return NULL;
}

static void rest(struct responses *responses, struct pdk_response *response) PDK_REQUIRES(responses->link->lock)
{
    response->next = NULL;
    *responses->resting_last = response;
    responses->resting_last = &response->next;
    responses->resting_count++;
}

/* The one that has rested longest. There are always so many that a late call meets its own request's handle. */
static struct pdk_response *take_handle(struct responses *responses) PDK_REQUIRES(responses->link->lock)
{
    while (responses->resting_count < RESTING_MIN) {
        struct chunk *chunk = calloc(1, sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        chunk->next = responses->chunks;
        responses->chunks = chunk;
        for (size_t i = 0; i < CHUNK; i++)
            rest(responses, &chunk->handles[i]);
    }
    struct pdk_response *response = responses->resting;
    responses->resting = response->next;
    if (responses->resting == NULL)
        responses->resting_last = &responses->resting;
    responses->resting_count--;
    *response = (struct pdk_response){.responses = responses};
    return response;
}

static struct pdk_response **find(struct responses *responses, uint64_t id) PDK_REQUIRES(responses->link->lock)
{
    struct pdk_response **at = &responses->buckets[id % BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* Reads the body into the handle, which is nobody else's yet. */
static pdk_status read_request(struct pdk_response *response, struct frame *frame, pdk_error *err)
{
    const void *body = frame->body;
    if (frame->mapping == NULL) {
        response->body = malloc(frame->length != 0 ? frame->length : 1);
        if (response->body == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a request of %zu bytes", frame->length);
        body = memcpy(response->body, frame->body, frame->length);
    }
    pdk_status status = wire_request_decode(body, frame->length, &response->request, &response->memory, err);
    if (status != PDK_OK)
        return status;
    response->frame = *frame;
    frame->mapping = NULL;
    response->request.id = frame->id;
    response->id = frame->id;
    return PDK_OK;
}

pdk_status responses_open(struct responses *responses, struct frame *frame, pdk_response **ret_response,
    const pdk_request **ret_request, pdk_error *err)
{
    link_lock(responses->link);
    struct pdk_response *response = *find(responses, frame->id) == NULL ? take_handle(responses) : NULL;
    bool in_use = response == NULL && *find(responses, frame->id) != NULL;
    link_unlock(responses->link);
    if (in_use)
        return pdk_error_set(err, PDK_INVALID, "id", "request %" PRIu64 " is already in flight", frame->id);
    if (response == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a request");
    pdk_status status = read_request(response, frame, err);
    link_lock(responses->link);
    if (status == PDK_OK) {
        struct pdk_response **bucket = &responses->buckets[response->id % BUCKETS];
        response->next = *bucket;
        *bucket = response;
        response->open = true;
        responses->count++;
    } else {
        drop_request(response);
        rest(responses, response);
    }
    link_unlock(responses->link);
    if (status != PDK_OK)
        return status;
    *ret_request = &response->request;
    *ret_response = response;
    return PDK_OK;
}

/* Once as many have spoken as there are, the step is over; until then more is coming. The lock is held. */
static void spoke(struct responses *responses) PDK_REQUIRES(responses->link->lock)
{
    if (responses->link->urgency == LINK_IDLE)
        responses->gathered = 0;
    if (++responses->gathered < responses->count) {
        link_urge(responses->link, LINK_SOON);
        return;
    }
    link_urge(responses->link, LINK_NOW);
}

/* Encodes a part as a frame; the lock is held. */
static pdk_status put_part(struct pdk_response *response, const pdk_part *part, uint64_t *ret_bytes, pdk_error *err)
    PDK_REQUIRES(response->responses->link->lock)
{
    struct frame_writer *writer = &response->responses->link->gathered;
    pdk_part whole = {0};
    if (part->size < offsetof(pdk_part, token_ids))
        return pdk_error_set(err, PDK_INVALID, "size", "a part says that it has %u bytes", part->size);
    memcpy(&whole, part, part->size < sizeof whole ? part->size : sizeof whole);
    size_t start = frame_begin(writer, WIRE_PART, response->id);
    pdk_status status = wire_part_encode(&writer->bytes, &whole, err);
    if (status != PDK_OK) {
        frame_abort(writer, start);
        return status;
    }
    *ret_bytes = writer->bytes.length - start - sizeof(struct wire_header);
    return frame_end(writer, start, err);
}

/* What the runtime gets for a part; the lock is held. */
static pdk_status send_part(struct pdk_response *response, const pdk_part *part)
    PDK_REQUIRES(response->responses->link->lock)
{
    if (response->cancelled || response->broken.status != PDK_OK)
        return PDK_CANCELLED;
    if (response->sent - response->credited >= WIRE_CREDIT_LIMIT) {
        pdk_error_set(&response->broken, PDK_INTERNAL, NULL, "the runtime went on sending after it was told to wait");
        return PDK_CANCELLED;
    }
    uint64_t bytes = 0;
    pdk_error err = {0};
    if (put_part(response, part, &bytes, &err) != PDK_OK) {
        pdk_error_wrap(&err, "the runtime sent a part that cannot be passed on");
        response->broken = err;
        response->broken.status = err.status == PDK_INVALID ? PDK_INTERNAL : err.status;
        return PDK_CANCELLED;
    }
    response->sent += bytes;
    response->full = response->sent - response->credited >= WIRE_CREDIT;
    spoke(response->responses);
    return response->full ? PDK_FULL : PDK_OK;
}

pdk_status response_send(pdk_response *response, const pdk_part *part)
{
    link_lock(response->responses->link);
    if (!response->open)
        worker_blame_runtime("the runtime sent a part of request %" PRIu64 ", which it had finished", response->id);
    pdk_status status = send_part(response, part);
    link_unlock(response->responses->link);
    return status;
}

static pdk_status put_finish(struct responses *responses, uint64_t id, const pdk_error *error)
    PDK_REQUIRES(responses->link->lock)
{
    struct frame_writer *writer = &responses->link->gathered;
    size_t start = frame_begin(writer, WIRE_FINISH, id);
    if (error != NULL)
        wire_error_encode(&writer->bytes, error);
    return frame_end(writer, start, NULL);
}

void response_finish(pdk_response *response, const pdk_error *err)
{
    struct responses *responses = response->responses;
    pdk_error error = {0};
    if (err != NULL && err->status != PDK_OK)
        error = *err;
    link_lock(responses->link);
    if (!response->open)
        worker_blame_runtime("the runtime finished request %" PRIu64 " twice", response->id);
    response->open = false;
    if (response->broken.status != PDK_OK)
        error = response->broken;
    *find(responses, response->id) = response->next;
    responses->count--;
    /* A lost finish would keep its client for ever, so no memory for it ends the replica. */
    if (put_finish(responses, response->id, error.status != PDK_OK ? &error : NULL) != PDK_OK)
        worker_blame_runtime("no memory to finish request %" PRIu64, response->id);
    drop_request(response);
    rest(responses, response);
    spoke(responses);
    link_unlock(responses->link);
}

int32_t responses_cancel(struct responses *responses, uint64_t id)
{
    link_lock(responses->link);
    struct pdk_response *response = *find(responses, id);
    int32_t kind = 0;
    if (response != NULL && !response->cancelled) {
        response->cancelled = true;
        response->cancelled_ms = monotonic_ms();
        kind = response->request.kind;
    }
    link_unlock(responses->link);
    return kind;
}

int32_t responses_credit(struct responses *responses, uint64_t id, uint64_t bytes)
{
    link_lock(responses->link);
    struct pdk_response *response = *find(responses, id);
    int32_t kind = 0;
    if (response != NULL && bytes <= response->sent - response->credited) {
        response->credited += bytes;
        if (response->full && response->sent - response->credited < WIRE_CREDIT / 2) {
            response->full = false;
            kind = response->request.kind;
        }
    }
    link_unlock(responses->link);
    return kind;
}

uint32_t responses_count(struct responses *responses)
{
    link_lock(responses->link);
    uint32_t count = responses->count;
    link_unlock(responses->link);
    return count;
}

uint64_t responses_overdue(struct responses *responses, int64_t before_ms)
{
    uint64_t id = 0;
    link_lock(responses->link);
    for (size_t i = 0; i < BUCKETS && id == 0; i++)
        for (struct pdk_response *response = responses->buckets[i]; response != NULL; response = response->next)
            if (response->cancelled && response->cancelled_ms < before_ms)
                id = response->id;
    link_unlock(responses->link);
    return id;
}
