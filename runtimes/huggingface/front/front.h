/* runtimes/huggingface/front/front.h: the threads between host and engine, [front-thread] × k. They make requests ready
 * (template, tokens, checks) and turn what the engine gives into parts, a step behind it. The first thread takes no new
 * requests, so that a long prompt never holds up the others' answers; the second none whose answers have a form, so
 * that a long schema never holds up others' prompts. */
#pragma once

#include "runtimes/huggingface/front/job.h"

struct front;

/* `threads`: at least 3. `served` is borrowed; its engine may be set later, before the first request. */
pdk_status front_start(const struct served *served, uint32_t threads, struct front **ret_front, pdk_error *err);
/* Every response has been finished; waits until the engine has let go of all jobs. Takes NULL. */
void front_drain(struct front *front);
/* After that, and after the engine has stopped. Takes NULL, returns NULL. */
struct front *front_stop(struct front *front);

/* As pdk_generate.submit and the rest. [main-thread] */
pdk_status front_submit(struct front *front, const pdk_request *request, pdk_response *response, pdk_error *err);
void front_cancel(struct front *front, uint64_t request_id);
void front_writable(struct front *front, uint64_t request_id);
/* The engine's news. [engine-thread] */
void front_news(struct front *front, struct generation *first);
