/* See recorded.h. */
#include "config.h"

#include "recorded.h"

#include "core/base/array.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *keep(struct recording *recording, size_t count, size_t size)
{
    ck_assert(array_grow(&recording->kept, &recording->kept_room, recording->kept_count + 1));
    void *memory = calloc(count + 1, size);
    ck_assert_ptr_nonnull(memory);
    recording->kept[recording->kept_count++] = memory;
    return memory;
}

void recording_done(struct recording *recording)
{
    for (size_t i = 0; i < recording->kept_count; i++)
        free(recording->kept[i]);
    free(recording->kept);
    free(recording->events);
}

static struct fake_event *add_event(struct recording *recording, uint32_t index, bool is_part)
{
    ck_assert(array_grow(&recording->events, &recording->room, recording->count + 1));
    struct fake_event *event = &recording->events[recording->count++];
    *event = (struct fake_event){.index = index, .is_part = is_part, .part = {.size = sizeof event->part}};
    return event;
}

static pdk_string copy(struct recording *recording, const char *text, size_t length)
{
    char *kept = keep(recording, length, 1);
    memcpy(kept, text, length);
    return (pdk_string){kept, length};
}

static pdk_string copy_json(struct recording *recording, const struct json *text)
{
    return copy(recording, text->text, text->length);
}

static float number(const struct json *value)
{
    double real;
    ck_assert(json_double(value, &real));
    return (float)real;
}

static uint32_t whole(const struct json *value)
{
    uint64_t number = 0;
    json_uint64(value, &number);
    return (uint32_t)number;
}

static const struct json *element(const struct json *list, size_t at)
{
    const struct json *value = list == NULL ? NULL : list->child;
    for (; value != NULL && at != 0; at--)
        value = value->next;
    return value;
}

static void set_ids(struct recording *recording, const struct json *list, pdk_part *part)
{
    if (list == NULL || list->type != JSON_ARRAY)
        return;
    uint32_t *ids = keep(recording, list->count, sizeof *ids);
    size_t at = 0;
    for (const struct json *value = list->child; value != NULL; value = value->next)
        ids[at++] = whole(value);
    part->token_ids = ids;
    part->token_count = list->count;
}

/* Room for entries of `positions` positions. */
static pdk_logprob *begin_logprobs(struct recording *recording, size_t positions, pdk_part *part, uint32_t **ret_counts)
{
    enum { ENTRIES_MAX = 32 };
    pdk_logprob *entries = keep(recording, positions * ENTRIES_MAX, sizeof *entries);
    *ret_counts = keep(recording, positions, sizeof **ret_counts);
    part->logprobs = entries;
    part->logprob_counts = *ret_counts;
    part->position_count = positions;
    return entries;
}

/* "token_id:33" tells the id; of other texts no test needs it. */
static void set_entry(struct recording *recording, pdk_logprob *entry, const char *text, size_t length, float logprob)
{
    static const char prefix[] = "token_id:";
    *entry = (pdk_logprob){.token = 1000, .rank = 1, .logprob = logprob, .text = copy(recording, text, length)};
    for (size_t i = sizeof prefix - 1; strncmp(text, prefix, sizeof prefix - 1) == 0 && i < length; i++)
        entry->token = (i == sizeof prefix - 1 ? 0 : entry->token * 10) + (uint32_t)(text[i] - '0');
}

/* A completion's four lists, from position `from` on. */
static void set_completion_logprobs(struct recording *recording, const struct json *lists, size_t from, pdk_part *part)
{
    const struct json *tops = json_get(lists, "top_logprobs");
    uint32_t *counts;
    pdk_logprob *entries = begin_logprobs(recording, tops->count - from, part, &counts);
    uint32_t *ids = keep(recording, tops->count, sizeof *ids);
    for (const struct json *top = element(tops, from); top != NULL; top = top->next, counts++, ids++) {
        for (const struct json *one = top->child; one != NULL; one = one->next) {
            set_entry(recording, &entries[part->logprob_count++], one->key, one->key_length, number(one));
            ++*counts;
        }
        *ids = entries[part->logprob_count - *counts].token;
    }
    part->token_ids = ids - part->position_count;
    part->token_count = part->position_count;
}

static void set_chat_logprobs(struct recording *recording, const struct json *lists, pdk_part *part)
{
    const struct json *content = json_get(lists, "content");
    uint32_t *counts;
    pdk_logprob *entries = begin_logprobs(recording, content->count, part, &counts);
    for (const struct json *token = content->child; token != NULL; token = token->next, counts++)
        for (const struct json *one = json_get(token, "top_logprobs")->child; one != NULL; one = one->next, ++*counts) {
            const struct json *text = json_get(one, "token");
            set_entry(
                recording, &entries[part->logprob_count++], text->text, text->length, number(json_get(one, "logprob")));
        }
}

static void set_prompt_logprobs(struct recording *recording, const struct json *list, pdk_part *part)
{
    uint32_t *counts;
    pdk_logprob *entries = begin_logprobs(recording, list->count, part, &counts);
    uint32_t *ids = keep(recording, list->count, sizeof *ids);
    part->token_ids = ids;
    part->token_count = list->count;
    for (const struct json *position = list->child; position != NULL; position = position->next, counts++, ids++)
        for (const struct json *one = position->child; one != NULL; one = one->next, ++*counts) {
            pdk_logprob *entry = &entries[part->logprob_count++];
            const struct json *text = json_get(one, "decoded_token");
            const struct json key = {.type = JSON_NUMBER, .text = one->key, .length = one->key_length};
            *entry = (pdk_logprob){.token = whole(&key),
                .rank = (int32_t)whole(json_get(one, "rank")),
                .logprob = number(json_get(one, "logprob")),
                .text = copy_json(recording, text)};
            *ids = *counts == 0 ? entry->token : *ids;
        }
}

static void set_finish(struct recording *recording, const struct json *choice, pdk_part *part)
{
    const struct json *finish = json_get(choice, "finish_reason"), *reason = json_get(choice, "stop_reason");
    if (finish == NULL || finish->type != JSON_STRING)
        return;
    part->finish = strcmp(finish->text, "length") == 0 ? PDK_FINISH_LENGTH : PDK_FINISH_STOP;
    if (strcmp(finish->text, "tool_calls") == 0)
        part->flags |= PDK_PART_CALLED;
    if (reason != NULL && reason->type == JSON_STRING) {
        part->stop_kind = PDK_STOP_STRING;
        part->stop_string = copy_json(recording, reason);
    }
}

static size_t prompt_count(const struct json *body)
{
    const struct json *prompt = json_get(body, "prompt");
    return prompt != NULL && prompt->type == JSON_ARRAY && prompt->child->type != JSON_NUMBER ? prompt->count : 1;
}

/* The prompt of a plain answer, where it shows anything of it. */
static void read_prompt(
    struct recording *recording, const struct json *body, const struct json *answer, const struct json *choice)
{
    bool chat = json_get(body, "messages") != NULL;
    const struct json *holder = chat ? answer : choice;
    const struct json *logprobs = json_get(holder, "prompt_logprobs"), *ids = json_get(holder, "prompt_token_ids");
    bool none = (logprobs == NULL || logprobs->type == JSON_NULL) && (ids == NULL || ids->type == JSON_NULL);
    if (none)
        return;
    pdk_part *part = &add_event(recording, 0, true)->part;
    part->flags = PDK_PART_PROMPT;
    part->prompt_tokens = whole(json_path(answer, "usage.prompt_tokens"));
    set_ids(recording, ids, part);
    if (!chat)
        part->text = copy_json(recording, json_get(body, "prompt"));
    if (logprobs != NULL && logprobs->type == JSON_ARRAY)
        set_prompt_logprobs(recording, logprobs, part);
}

/* The calls of a message or of a chunk's delta, as deltas. */
static void set_calls(struct recording *recording, const struct json *calls, pdk_part *part)
{
    pdk_delta *deltas = keep(recording, 2 * (size_t)calls->count, sizeof *deltas);
    part->flags |= PDK_PART_PARSED;
    part->deltas = deltas;
    for (const struct json *call = calls->child; call != NULL; call = call->next) {
        const struct json *name = json_path(call, "function.name"), *arguments = json_path(call, "function.arguments");
        uint32_t index = whole(json_get(call, "index"));
        if (name != NULL)
            deltas[part->delta_count++] =
                (pdk_delta){.kind = PDK_DELTA_CALL, .call = index, .text = copy_json(recording, name)};
        if (arguments != NULL)
            deltas[part->delta_count++] =
                (pdk_delta){.kind = PDK_DELTA_ARGUMENTS, .call = index, .text = copy_json(recording, arguments)};
    }
}

/* How much of a choice's text echo has put before the answer. */
static size_t echoed(const struct json *body)
{
    bool echo = false;
    json_bool(json_get(body, "echo"), &echo);
    if (!echo)
        return 0;
    const struct json *messages = json_get(body, "messages"), *text = json_get(body, "prompt");
    if (messages != NULL)
        text = json_get(element(messages, messages->count - 1), "content");
    return text->length;
}

static void read_choice(
    struct recording *recording, const struct json *body, const struct json *answer, const struct json *choice)
{
    size_t prompts = prompt_count(body), choices = json_get(answer, "choices")->count, n = choices / prompts;
    uint32_t at = whole(json_get(choice, "index"));
    bool chat = json_get(body, "messages") != NULL;
    const struct json *text = chat ? json_path(choice, "message.content") : json_get(choice, "text");
    const struct json *logprobs = json_get(choice, "logprobs"), *prompt = json_get(choice, "prompt_logprobs");
    if (at == 0)
        read_prompt(recording, body, answer, choice);
    pdk_part *part = &add_event(recording, at / (uint32_t)n, true)->part;
    part->choice = at % (uint32_t)n;
    uint32_t tokens = whole(json_path(answer, "usage.prompt_tokens"));
    part->prompt_tokens = at < n ? tokens - (uint32_t)prompts + 1 : 1;
    part->completion_tokens = whole(json_path(answer, "usage.completion_tokens")) / (uint32_t)choices;
    size_t skip = echoed(body);
    part->text = copy(recording, text->text + skip, text->length - skip);
    if (chat && json_path(choice, "message.tool_calls") != NULL)
        set_calls(recording, json_path(choice, "message.tool_calls"), part);
    set_ids(recording, json_get(choice, "token_ids"), part);
    if (logprobs != NULL && logprobs->type == JSON_OBJECT && chat)
        set_chat_logprobs(recording, logprobs, part);
    else if (logprobs != NULL && logprobs->type == JSON_OBJECT)
        set_completion_logprobs(recording, logprobs, prompt->type == JSON_ARRAY ? prompt->count : 0, part);
    set_finish(recording, choice, part);
    if (at % n == n - 1)
        add_event(recording, at / (uint32_t)n, false);
}

static void read_chunk(
    struct recording *recording, const struct json *chunk, const struct json *usage, uint32_t *made, size_t n)
{
    const struct json *choice = element(json_get(chunk, "choices"), 0);
    const struct json *text = json_get(choice, "text"), *delta = json_get(choice, "delta");
    const struct json *logprobs = json_get(choice, "logprobs"), *prompt_ids = json_get(choice, "prompt_token_ids");
    if (choice == NULL || json_get(delta, "role") != NULL)
        return;
    if (prompt_ids != NULL && prompt_ids->type == JSON_ARRAY) {
        pdk_part *prompt = &add_event(recording, 0, true)->part;
        prompt->flags = PDK_PART_PROMPT;
        set_ids(recording, prompt_ids, prompt);
    }
    uint32_t at = whole(json_get(choice, "index"));
    pdk_part *part = &add_event(recording, at / (uint32_t)n, true)->part;
    part->choice = at % (uint32_t)n;
    part->prompt_tokens = usage == NULL ? 1 : whole(json_get(usage, "prompt_tokens"));
    part->completion_tokens = ++*made;
    text = delta != NULL ? json_get(delta, "content") : text;
    if (text != NULL && text->type == JSON_STRING)
        part->text = copy_json(recording, text);
    else
        part->flags = PDK_PART_PARSED;
    if (json_get(delta, "tool_calls") != NULL)
        set_calls(recording, json_get(delta, "tool_calls"), part);
    set_ids(recording, json_get(choice, "token_ids"), part);
    if (part->token_count == 0)
        part->token_ids = keep(recording, 1, sizeof *part->token_ids), part->token_count = 1;
    if (logprobs->type == JSON_OBJECT && delta != NULL)
        set_chat_logprobs(recording, logprobs, part);
    else if (logprobs->type == JSON_OBJECT)
        set_completion_logprobs(recording, logprobs, 0, part);
    set_finish(recording, choice, part);
}

/* The usage of a stream comes last, and is needed first. */
static const struct json *find_usage(struct json_document **documents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_get(json_root(documents[i]), "usage") != NULL)
            return json_get(json_root(documents[i]), "usage");
    return NULL;
}

static void read_stream(const struct json *body, const char *answer, struct recording *recording)
{
    enum { CHUNKS_MAX = 64 };
    struct json_document *documents[CHUNKS_MAX];
    size_t count = 0, prompts = prompt_count(body), choices = 1;
    uint32_t made[8] = {0};
    pdk_error err = {0};
    for (const char *at = strstr(answer, "data: {"); at != NULL; at = strstr(at + 6, "data: {")) {
        ck_assert(count < CHUNKS_MAX);
        size_t length = (size_t)(strstr(at, "\n\n") - at) - 6;
        ck_assert_msg(
            json_read(at + 6, length, &json_limits_default, &documents[count], &err) == PDK_OK, "%s", err.message);
        uint32_t index = whole(json_get(element(json_get(json_root(documents[count++]), "choices"), 0), "index"));
        choices = index + 1 > choices ? index + 1 : choices;
    }
    const struct json *usage = find_usage(documents, count);
    for (size_t i = 0; i < count; i++) {
        const struct json *chunk = json_root(documents[i]);
        uint32_t index = whole(json_get(element(json_get(chunk, "choices"), 0), "index"));
        read_chunk(recording, chunk, usage, &made[index & 7], choices / prompts);
    }
    for (uint32_t i = 0; i < prompts; i++)
        add_event(recording, i, false);
    for (size_t i = 0; i < count; i++)
        json_document_free(documents[i]);
}

/* Responses and Messages: one choice, whose words and counts are all that they show. */
static void add_words(struct recording *recording, const struct json *text, const struct json *usage, bool last)
{
    pdk_part *part = &add_event(recording, 0, true)->part;
    part->text = copy_json(recording, text);
    part->token_ids = keep(recording, 1, sizeof *part->token_ids), part->token_count = 1;
    part->prompt_tokens = whole(json_get(usage, "input_tokens"));
    part->completion_tokens = last ? whole(json_get(usage, "output_tokens")) : 1;
    part->finish = last ? PDK_FINISH_LENGTH : PDK_FINISH_NONE;
}

static const struct json *find_words(const struct json *root)
{
    const struct json *item = element(json_get(root, "output"), 0), *holder = item == NULL ? root : item;
    return json_get(element(json_get(holder, "content"), 0), "text");
}

void recording_read_other(const char *answer, bool stream, struct recording *recording)
{
    enum { EVENTS_MAX = 64 };
    struct json_document *documents[EVENTS_MAX];
    const struct json *words[EVENTS_MAX], *usage = NULL;
    size_t count = 0, spoken = 0;
    for (const char *at = stream ? strstr(answer, "data: {") : answer; at != NULL && count < EVENTS_MAX;
         at = stream ? strstr(at + 6, "data: {") : NULL) {
        const char *json = stream ? at + 6 : at, *end = strstr(json, "\n\n");
        size_t length = end == NULL ? strlen(json) : (size_t)(end - json);
        ck_assert(json_read(json, length, &json_limits_default, &documents[count], NULL) == PDK_OK);
        const struct json *root = json_root(documents[count++]), *delta = json_get(root, "delta"),
                          *text = !stream                                       ? find_words(root)
                                  : delta == NULL || delta->type == JSON_STRING ? delta
                                                                                : json_get(delta, "text");
        const struct json *found = json_get(root, "usage"), *inside = json_path(root, "response.usage");
        usage = found != NULL ? found : inside != NULL && inside->type == JSON_OBJECT ? inside : usage;
        if (text != NULL)
            words[spoken++] = text;
    }
    for (size_t i = 0; i < spoken; i++)
        add_words(recording, words[i], usage, i + 1 == spoken);
    add_event(recording, 0, false);
    for (size_t i = 0; i < count; i++)
        json_document_free(documents[i]);
}

bool recording_read(const struct json *body, const char *answer, bool stream, struct recording *recording)
{
    struct json_document *document = NULL;
    pdk_error err = {0};
    if (stream) {
        read_stream(body, answer, recording);
        return true;
    }
    if (json_read(answer, strlen(answer), &json_limits_default, &document, &err) != PDK_OK)
        return false;
    const struct json *choices = json_get(json_root(document), "choices");
    for (const struct json *choice = choices == NULL ? NULL : choices->child; choice != NULL; choice = choice->next)
        read_choice(recording, body, json_root(document), choice);
    bool words = choices != NULL;
    json_document_free(document);
    return words;
}

static bool is_volatile(const char *key)
{
    static const char *const keys[] = {
        "id", "created", "system_fingerprint", "owned_by", "version", "created_at", "item_id"};
    for (size_t i = 0; key != NULL && i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static bool same_leaf(const struct json *got, const struct json *want)
{
    double a, b;
    if (json_double(got, &a) && json_double(want, &b))
        return a == b;
    return got->type != JSON_STRING || (got->length == want->length && memcmp(got->text, want->text, got->length) == 0);
}

void recording_compare(const char *path, const struct json *got, const struct json *want, struct buffer *differences)
{
    if (got->type != want->type) {
        buffer_printf(differences, "  %s: %s, not %s\n", path, json_type_name(got), json_type_name(want));
        return;
    }
    if (want->type != JSON_OBJECT && want->type != JSON_ARRAY) {
        if (!is_volatile(want->key) && !same_leaf(got, want))
            buffer_printf(differences, "  %s: '%s', not '%s'\n", path, got->text, want->text);
        return;
    }
    const struct json *a = got->child, *b = want->child;
    for (size_t at = 0; a != NULL && b != NULL; a = a->next, b = b->next, at++) {
        struct buffer below = {0};
        if (want->type == JSON_OBJECT)
            buffer_printf(&below, "%s.%s", path, b->key);
        else
            buffer_printf(&below, "%s.%zu", path, at);
        if (want->type == JSON_OBJECT && strcmp(a->key, b->key) != 0)
            buffer_printf(differences, "  %s: the key is '%s'\n", below.data, a->key);
        else
            recording_compare(below.data, a, b, differences);
        buffer_done(&below);
    }
    if (got->count != want->count)
        buffer_printf(differences, "  %s: %" PRIu32 " members, not %" PRIu32 "\n", path, got->count, want->count);
}
