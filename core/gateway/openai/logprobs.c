/* See logprobs.h. */
#include "config.h"

#include "core/gateway/openai/logprobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOGPROB_FLOOR (-9999.0)

void logprob_text_done(struct logprob_text *text)
{
    buffer_done(&text->offsets);
    buffer_done(&text->values);
    buffer_done(&text->tokens);
    buffer_done(&text->tops);
}

void logprob_text_clear(struct logprob_text *text)
{
    buffer_clear(&text->offsets);
    buffer_clear(&text->values);
    buffer_clear(&text->tokens);
    buffer_clear(&text->tops);
}

size_t logprob_text_bytes(const struct logprob_text *text)
{
    return text->offsets.length + text->values.length + text->tokens.length + text->tops.length;
}

bool logprob_text_failed(const struct logprob_text *text)
{
    return text->offsets.failed || text->values.failed || text->tokens.failed || text->tops.failed;
}

/* A float, exactly: as the double of the same value. JSON has no -inf. */
static double shown(float logprob)
{
    return logprob > LOGPROB_FLOOR ? (double)logprob : LOGPROB_FLOOR; /* NaN too */
}

static void put_double(struct buffer *out, double value)
{
    struct json_writer writer = {.out = out};
    json_write_double(&writer, value);
}

static void put_text(struct buffer *out, pdk_string text)
{
    struct json_writer writer = {.out = out};
    json_write_text(&writer, text.data == NULL ? "" : text.data, text.length);
}

static size_t count_characters(pdk_string text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

struct token_name {
    char text[24];
};

/* How a token is called: its text, or token_id:N, which is put in `room`. */
static pdk_string name_token(const struct logprob_form *form, uint32_t token, pdk_string text, struct token_name *room)
{
    if (!form->as_ids)
        return text;
    int length = snprintf(room->text, sizeof room->text, "token_id:%" PRIu32, token);
    return (pdk_string){room->text, (size_t)length};
}

static bool same(pdk_string a, pdk_string b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* {"TOKEN": logprob, …}: two ids with one text are one key, at the first's place with the last's value. */
static void put_top_object(
    struct buffer *out, const struct logprob_form *form, const pdk_logprob *entries, size_t count)
{
    if (form->top >= 0 && count > (size_t)form->top + 1)
        count = (size_t)form->top + 1;
    buffer_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        struct token_name room, other;
        pdk_string name = name_token(form, entries[i].token, entries[i].text, &room);
        bool earlier = false;
        for (size_t j = 0; j < i && !earlier; j++)
            earlier = same(name, name_token(form, entries[j].token, entries[j].text, &other));
        if (earlier)
            continue;
        double value = shown(entries[i].logprob);
        for (size_t j = i + 1; j < count; j++)
            if (same(name, name_token(form, entries[j].token, entries[j].text, &other)))
                value = shown(entries[j].logprob);
        buffer_puts(out, i == 0 ? "" : ",");
        put_text(out, name);
        buffer_putc(out, ':');
        put_double(out, value);
    }
    buffer_putc(out, '}');
}

static void separate(struct buffer *out)
{
    if (out->length != 0)
        buffer_putc(out, ',');
}

static void add_completion(struct logprob_text *text, const struct logprob_form *form, pdk_string name,
    const pdk_logprob *entries, size_t count)
{
    separate(&text->offsets);
    separate(&text->values);
    separate(&text->tokens);
    separate(&text->tops);
    buffer_printf(&text->offsets, "%zu", text->characters);
    put_text(&text->tokens, name);
    text->characters += count_characters(name);
    if (count == 0) {
        buffer_puts(&text->values, "null");
        buffer_puts(&text->tops, "null");
        return;
    }
    put_double(&text->values, shown(entries->logprob));
    put_top_object(&text->tops, form, entries, count);
}

/* "token":…,"logprob":…,"bytes":[…] */
static void put_chat_token(struct buffer *out, pdk_string name, double logprob)
{
    buffer_puts(out, "\"token\":");
    put_text(out, name);
    buffer_puts(out, ",\"logprob\":");
    put_double(out, logprob);
    buffer_puts(out, ",\"bytes\":[");
    for (size_t i = 0; i < name.length; i++)
        buffer_printf(out, "%s%d", i == 0 ? "" : ",", (unsigned char)name.data[i]);
    buffer_putc(out, ']');
}

static void add_chat(struct logprob_text *text, const struct logprob_form *form, pdk_string name,
    const pdk_logprob *entries, size_t count)
{
    struct buffer *out = &text->tokens;
    size_t most = form->top < 0 || (size_t)form->top > count ? count : (size_t)form->top;
    separate(out);
    buffer_putc(out, '{');
    put_chat_token(out, name, count == 0 ? LOGPROB_FLOOR : shown(entries->logprob));
    buffer_puts(out, ",\"top_logprobs\":[");
    for (size_t i = 0; i < most; i++) {
        struct token_name room;
        buffer_puts(out, i == 0 ? "{" : ",{");
        put_chat_token(out, name_token(form, entries[i].token, entries[i].text, &room), shown(entries[i].logprob));
        buffer_putc(out, '}');
    }
    buffer_puts(out, "]}");
}

/* What stands in the part's text before the texts of all positions but the first; "" if the text does not end in them.
 */
static pdk_string first_text(const pdk_part *part)
{
    size_t left = part->text.length, entry = part->logprob_count;
    for (size_t position = part->position_count; position-- > 1;) {
        if (part->logprob_counts[position] == 0 || part->logprob_counts[position] > entry)
            return (pdk_string){"", 0};
        entry -= part->logprob_counts[position];
        pdk_string text = part->logprobs[entry].text;
        if (text.length > left)
            return (pdk_string){"", 0};
        left -= text.length;
        if (text.length != 0 && memcmp(part->text.data + left, text.data, text.length) != 0)
            return (pdk_string){"", 0};
    }
    return (pdk_string){part->text.data, left};
}

void logprob_text_add(struct logprob_text *text, const struct logprob_form *form, const pdk_part *part)
{
    size_t entry = 0;
    for (size_t position = 0; position < part->position_count; position++) {
        size_t count = part->logprob_counts[position];
        if (count > part->logprob_count - entry)
            return; /* the channel has checked the sum */
        const pdk_logprob *entries = part->logprobs + entry;
        uint32_t token = position < part->token_count ? part->token_ids[position] : count != 0 ? entries->token : 0;
        struct token_name room;
        pdk_string plain = count != 0                     ? entries->text
                           : position < part->piece_count ? part->pieces[position]
                           : position == 0                ? first_text(part)
                                                          : (pdk_string){"", 0};
        pdk_string name = name_token(form, token, plain, &room);
        if (form->chat)
            add_chat(text, form, name, entries, count);
        else
            add_completion(text, form, name, entries, count);
        entry += count;
    }
}

static void write_list(struct json_writer *writer, const char *key, const struct buffer *list)
{
    json_write_key(writer, key);
    json_write_array(writer);
    if (list->length != 0)
        json_write_raw(writer, list->data, list->length);
    json_write_end_array(writer);
}

void logprob_text_write(const struct logprob_text *text, const struct logprob_form *form, struct json_writer *writer)
{
    json_write_object(writer);
    if (form->chat) {
        write_list(writer, "content", &text->tokens);
    } else {
        write_list(writer, "text_offset", &text->offsets);
        write_list(writer, "token_logprobs", &text->values);
        write_list(writer, "tokens", &text->tokens);
        write_list(writer, "top_logprobs", &text->tops);
    }
    json_write_end_object(writer);
}

void prompt_logprobs_put(struct buffer *out, const pdk_part *part)
{
    size_t entry = 0;
    buffer_putc(out, '[');
    for (size_t position = 0; position < part->position_count; position++) {
        size_t count = part->logprob_counts[position];
        if (count > part->logprob_count - entry)
            break;
        buffer_puts(out, position == 0 ? "" : ",");
        buffer_puts(out, count == 0 ? "null" : "{");
        for (size_t i = 0; i < count; i++) {
            const pdk_logprob *one = &part->logprobs[entry + i];
            buffer_printf(out, "%s\"%" PRIu32 "\":{\"logprob\":", i == 0 ? "" : ",", one->token);
            put_double(out, shown(one->logprob));
            buffer_printf(out, ",\"rank\":%" PRId32 ",\"decoded_token\":", one->rank);
            put_text(out, one->text);
            buffer_putc(out, '}');
        }
        if (count != 0)
            buffer_putc(out, '}');
        entry += count;
    }
    buffer_putc(out, ']');
}
