/* One value a row of the table: the words given last, and for JSON the members collected. Values are checked when they
 * are read, so that an accessor cannot fail. */
#include "config.h"

#include "core/base/options.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/nearest.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 128, WORDS_MAX = 1024 };

struct value {
    bool given;
    bool flag;
    double number;
    char **words; /* owned; of all types but FLAG, at least one once given */
    size_t count, room;
};

struct options {
    const pdk_options *table;
    struct value *values; /* [table->count] */
    char **noted;
    size_t noted_count, noted_room;
};

/* An argument as it is taken apart. */
struct argument {
    char name[NAME_MAX_BYTES];   /* without dashes, '_' as '-', up to a dot */
    char shown[NAME_MAX_BYTES];  /* as it was written, without the value */
    char member[NAME_MAX_BYTES]; /* behind the dot, or "" */
    const char *value;           /* behind '=', or NULL */
    bool negated;
};

static const pdk_option *row(const pdk_options *table, size_t i)
{
    return (const pdk_option *)((const char *)table->options + i * table->option_size);
}

static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0' || *b != '\0'; a++, b++) {
        char x = *a == '_' ? '-' : *a, y = *b == '_' ? '-' : *b;
        if (x != y)
            return false;
    }
    return true;
}

static ptrdiff_t find(const pdk_options *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (same_name(row(table, i)->name, name))
            return (ptrdiff_t)i;
    return -1;
}

bool options_read_bool(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"y", "yes", "t", "true", "on", "1"}, *const no[] = {
                                                                               "n", "no", "f", "false", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret_value = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

bool options_read_number(const char *text, double *ret_value)
{
    /* strtod would take hexadecimal, infinities and leading spaces as well. */
    size_t length = strspn(text, "+-.0123456789eE");
    if (length == 0 || length > 40 || text[strcspn(text, "0123456789")] == '\0')
        return false;
    char *end;
    errno = 0;
    double value = strtod(text, &end), scale = 1;
    if (end == text || (size_t)(end - text) > length || errno == ERANGE || !isfinite(value))
        return false;
    bool decimals = memchr(text, '.', (size_t)(end - text)) != NULL;
    switch (*end) {
    case 'k': scale = 1e3; break;
    case 'm': scale = 1e6; break;
    case 'g': scale = 1e9; break;
    case 'K': scale = 1024; break;
    case 'M': scale = 1024 * 1024; break;
    case 'G': scale = 1024.0 * 1024 * 1024; break;
    default: scale = 1; break;
    }
    if (*end != '\0' && (scale == 1 || end[1] != '\0' || (decimals && strchr("KMG", *end) != NULL)))
        return false;
    *ret_value = value * scale;
    return true;
}

static bool is_json_option(const pdk_option *option)
{
    return option->type == PDK_OPTION_TEXT && option->default_text != NULL && option->default_text[0] == '{';
}

static bool among(const char *choices, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = choices; at != NULL;) {
        size_t each = strcspn(at, "|");
        if (each == length && memcmp(at, word, length) == 0)
            return true;
        at = at[each] == '|' ? at + each + 1 : NULL;
    }
    return false;
}

static pdk_status read_number(
    const pdk_option *option, const char *shown, const char *text, double *ret_number, pdk_error *err)
{
    double number;
    bool integer = option->type == PDK_OPTION_INTEGER;
    if (!options_read_number(text, &number) || (integer && number != floor(number)))
        return pdk_error_value(err, PDK_INVALID, shown, text, "%s: '%.64s' is not %s", shown, text,
            integer ? "an integer (such as 2048, 32K or 1.5m)" : "a number");
    if (number < option->minimum || number > option->maximum)
        return pdk_error_value(err, PDK_INVALID, shown, text, "%s: %.64s is not in %.15g … %.15g", shown, text,
            option->minimum, option->maximum);
    *ret_number = number;
    return PDK_OK;
}

static pdk_status check_word(
    const pdk_option *option, const char *shown, const char *word, double *ret_number, pdk_error *err)
{
    switch (option->type) {
    case PDK_OPTION_INTEGER:
    case PDK_OPTION_NUMBER: return read_number(option, shown, word, ret_number, err);
    case PDK_OPTION_CHOICE:
        if (among(option->choices, word))
            return PDK_OK;
        return pdk_error_value(
            err, PDK_INVALID, shown, word, "%s: '%.64s' is not one of %s", shown, word, option->choices);
    default: return PDK_OK;
    }
}

static void forget(struct value *value)
{
    for (size_t i = 0; i < value->count; i++)
        free(value->words[i]);
    value->count = 0;
}

static pdk_status keep_word(struct value *value, const char *word, pdk_error *err)
{
    char *copy = strdup(word);
    if (copy == NULL || !array_grow(&value->words, &value->room, value->count + 1)) {
        free(copy);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the arguments");
    }
    value->words[value->count++] = copy;
    return PDK_OK;
}

/* Writes `object` with the member at `path` (dots between keys) set to `text`, which is JSON or else a string. */
static void write_with(struct json_writer *out, const struct json *object, const char *path, const char *text, bool raw)
{
    size_t length = strcspn(path, ".");
    const char *rest = path[length] == '.' ? path + length + 1 : NULL;
    json_write_object(out);
    const struct json *old = NULL;
    for (const struct json *at = object != NULL ? object->child : NULL; at != NULL; at = at->next) {
        if (at->key_length == length && memcmp(at->key, path, length) == 0) {
            old = at;
            continue;
        }
        struct buffer printed = {0};
        json_print(&printed, at);
        json_write_key(out, at->key);
        json_write_raw(out, printed.data, printed.length);
        buffer_done(&printed);
    }
    char key[NAME_MAX_BYTES];
    snprintf(key, sizeof key, "%.*s", (int)length, path);
    json_write_key(out, key);
    if (rest != NULL)
        write_with(out, old != NULL && old->type == JSON_OBJECT ? old : NULL, rest, text, raw);
    else if (raw)
        json_write_raw(out, text, strlen(text));
    else
        json_write_string(out, text);
    json_write_end_object(out);
}

static bool is_json(const char *text)
{
    struct json_document *document = NULL;
    bool valid = json_read(text, strlen(text), &json_limits_default, &document, NULL) == PDK_OK;
    json_document_free(document);
    return valid;
}

static pdk_status set_member(struct value *value, const struct argument *argument, const char *text, pdk_error *err)
{
    size_t depth = 1;
    for (const char *at = argument->member; *at != '\0'; at++)
        depth += *at == '.';
    if (depth > 16)
        return pdk_error_set(
            err, PDK_INVALID, argument->shown, "%s: a member's path is at most 16 names long", argument->shown);
    struct json_document *document = NULL;
    if (value->count > 0)
        (void)json_read(value->words[0], strlen(value->words[0]), &json_limits_default, &document, NULL);
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    write_with(&writer, document != NULL ? json_root(document) : NULL, argument->member, text, is_json(text));
    json_document_free(document);
    if (out.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the arguments");
    forget(value);
    return keep_word(value, out.data, err);
}

static pdk_status check_json(const char *shown, const char *text, pdk_error *err)
{
    struct json_document *document = NULL;
    pdk_status status = json_read(text, strlen(text), &json_limits_default, &document, err);
    if (status == PDK_OK && json_root(document)->type != JSON_OBJECT)
        status = pdk_error_value(err, PDK_INVALID, shown, text, "%s: not a JSON object", shown);
    else if (status != PDK_OK)
        pdk_error_wrap(err, "%s", shown);
    json_document_free(document);
    return status;
}

static pdk_status note(struct options *options, const pdk_option *option, const char *shown, pdk_error *err)
{
    struct buffer text = {0};
    buffer_printf(&text, "argument %s has no effect here%s%s", shown, option->note != NULL ? ": " : "",
        option->note != NULL ? option->note : "");
    char *line = buffer_take(&text);
    if (line == NULL || !array_grow(&options->noted, &options->noted_room, options->noted_count + 1)) {
        free(line);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the arguments");
    }
    options->noted[options->noted_count++] = line;
    return PDK_OK;
}

static bool is_default(const pdk_option *option, const struct value *value)
{
    if (option->default_text == NULL)
        return false;
    bool flag;
    double number;
    switch (option->type) {
    case PDK_OPTION_FLAG: return options_read_bool(option->default_text, &flag) && flag == value->flag;
    case PDK_OPTION_INTEGER:
    case PDK_OPTION_NUMBER: return options_read_number(option->default_text, &number) && number == value->number;
    default: return value->count == 1 && strcmp(value->words[0], option->default_text) == 0;
    }
}

static pdk_status unknown(const pdk_options *table, const struct argument *argument, pdk_error *err)
{
    struct nearest nearest = nearest_to(argument->name);
    for (size_t i = 0; i < table->count; i++)
        nearest_offer(&nearest, row(table, i)->name);
    return pdk_error_set(
        err, PDK_INVALID, argument->shown, "unknown argument %s%s", argument->shown, nearest_hint(&nearest));
}

/* One longer than any in a table is cut, and then unknown. */
static void copy_name(char *to, const char *from, size_t length)
{
    snprintf(to, NAME_MAX_BYTES, "%.*s", (int)(length < NAME_MAX_BYTES ? length : NAME_MAX_BYTES - 1), from);
}

/* Takes "--a_b.c=v" apart; false when it is no argument but a word. */
static bool take_apart(const char *text, struct argument *argument)
{
    size_t dashes = strspn(text, "-");
    /* A negative number is a value. */
    if (dashes == 0 || dashes > 2 || text[dashes] == '\0' || (dashes == 1 && strchr("0123456789.", text[1]) != NULL))
        return false;
    memset(argument, 0, sizeof *argument);
    const char *name = text + dashes;
    size_t length = strcspn(name, "=");
    argument->value = name[length] == '=' ? name + length + 1 : NULL;
    copy_name(argument->shown, text, dashes + length);
    size_t base = strcspn(name, ".");
    if (base < length)
        copy_name(argument->member, name + base + 1, length - base - 1);
    copy_name(argument->name, name, base < length ? base : length);
    for (char *c = argument->name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    return true;
}

static ptrdiff_t find_argument(const pdk_options *table, struct argument *argument)
{
    ptrdiff_t at = find(table, argument->name);
    if (at < 0 && strncmp(argument->name, "no-", 3) == 0) {
        at = find(table, argument->name + 3);
        if (at >= 0 && row(table, (size_t)at)->type != PDK_OPTION_FLAG)
            return -1;
        argument->negated = at >= 0;
    }
    return at;
}

static pdk_status set_flag(
    struct value *value, const struct argument *argument, const char *next, size_t *used, pdk_error *err)
{
    value->flag = true;
    if (argument->value != NULL) {
        if (!options_read_bool(argument->value, &value->flag))
            return pdk_error_value(err, PDK_INVALID, argument->shown, argument->value,
                "%s: '%.64s' is neither true nor false", argument->shown, argument->value);
    } else if (next != NULL && options_read_bool(next, &value->flag)) {
        *used += 1; /* KServe's form: --enable_grpc false */
    }
    value->flag ^= argument->negated;
    return PDK_OK;
}

static pdk_status set_words(struct value *value, const pdk_option *option, const struct argument *argument,
    const char *const *arguments, size_t count, size_t at, size_t *used, pdk_error *err)
{
    const char *first = argument->value;
    struct argument other;
    if (first == NULL && at + 1 < count &&
        (option->type != PDK_OPTION_LIST || !take_apart(arguments[at + 1], &other))) {
        first = arguments[at + 1];
        *used += 1;
    }
    if (first == NULL)
        return pdk_error_set(err, PDK_INVALID, argument->shown, "%s needs a value", argument->shown);
    pdk_status status = check_word(option, argument->shown, first, &value->number, err);
    if (status != PDK_OK)
        return status;
    if (argument->member[0] != '\0')
        return set_member(value, argument, first, err);
    if (is_json_option(option) && (status = check_json(argument->shown, first, err)) != PDK_OK)
        return status;
    forget(value);
    status = keep_word(value, first, err);
    while (status == PDK_OK && option->type == PDK_OPTION_LIST && at + *used < count && value->count < WORDS_MAX &&
           !take_apart(arguments[at + *used], &other)) {
        status = keep_word(value, arguments[at + *used], err);
        *used += 1;
    }
    return status;
}

/* Reads the argument at `at`; *used counts the words taken. */
static pdk_status read_argument(
    struct options *options, const char *const *arguments, size_t count, size_t at, size_t *used, pdk_error *err)
{
    struct argument argument;
    *used = 1;
    if (!take_apart(arguments[at], &argument))
        return pdk_error_value(
            err, PDK_INVALID, "args", arguments[at], "'%.64s' is no argument; they begin with --", arguments[at]);
    ptrdiff_t found = find_argument(options->table, &argument);
    const pdk_option *option = found >= 0 ? row(options->table, (size_t)found) : NULL;
    if (option == NULL || (argument.member[0] != '\0' && !is_json_option(option)))
        return unknown(options->table, &argument, err);
    struct value *value = &options->values[found];
    value->given = true;
    pdk_status status;
    if (option->type == PDK_OPTION_FLAG)
        status = set_flag(value, &argument, at + 1 < count ? arguments[at + 1] : NULL, used, err);
    else
        status = set_words(value, option, &argument, arguments, count, at, used, err);
    if (status != PDK_OK || option->action == PDK_OPTION_USED)
        return status;
    if (option->action == PDK_OPTION_NOTED)
        return note(options, option, argument.shown, err);
    if (is_default(option, value))
        return PDK_OK;
    return pdk_error_set(err, PDK_UNSUPPORTED, argument.shown, "%s: %s", argument.shown,
        option->note != NULL ? option->note : "not supported");
}

static pdk_status set_default(const pdk_option *option, struct value *value, pdk_error *err)
{
    if (option->default_text == NULL)
        return PDK_OK;
    if (option->type == PDK_OPTION_FLAG) {
        (void)options_read_bool(option->default_text, &value->flag);
        return PDK_OK;
    }
    (void)options_read_number(option->default_text, &value->number);
    return option->type == PDK_OPTION_LIST ? PDK_OK : keep_word(value, option->default_text, err);
}

pdk_status options_parse(
    const pdk_options *table, const char *const *arguments, size_t count, struct options **ret_options, pdk_error *err)
{
    struct options *options = calloc(1, sizeof *options);
    if (options == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the arguments");
    options->table = table;
    options->values = calloc(table->count > 0 ? table->count : 1, sizeof *options->values);
    pdk_status status =
        options->values != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the arguments");
    for (size_t i = 0; status == PDK_OK && i < table->count; i++)
        status = set_default(row(table, i), &options->values[i], err);
    size_t used;
    for (size_t at = 0; status == PDK_OK && at < count; at += used)
        status = read_argument(options, arguments, count, at, &used, err);
    if (status != PDK_OK) {
        options_free(options);
        return status;
    }
    *ret_options = options;
    return PDK_OK;
}

struct options *options_free(struct options *options)
{
    if (options == NULL)
        return NULL;
    for (size_t i = 0; options->values != NULL && i < options->table->count; i++) {
        forget(&options->values[i]);
        free(options->values[i].words);
    }
    for (size_t i = 0; i < options->noted_count; i++)
        free(options->noted[i]);
    free(options->noted);
    free(options->values);
    free(options);
    return NULL;
}

void options_freep(struct options **options)
{
    options_free(*options);
}

static const struct value *value_of(const struct options *options, const char *name)
{
    ptrdiff_t at = find(options->table, name);
    assert(at >= 0);
    return &options->values[at];
}

bool options_given(const struct options *options, const char *name)
{
    return value_of(options, name)->given;
}

bool options_flag(const struct options *options, const char *name)
{
    return value_of(options, name)->flag;
}

int64_t options_integer(const struct options *options, const char *name)
{
    return (int64_t)value_of(options, name)->number;
}

double options_number(const struct options *options, const char *name)
{
    return value_of(options, name)->number;
}

const char *options_text(const struct options *options, const char *name)
{
    const struct value *value = value_of(options, name);
    return value->count > 0 ? value->words[0] : NULL;
}

const char *const *options_words(const struct options *options, const char *name, size_t *ret_count)
{
    const struct value *value = value_of(options, name);
    *ret_count = value->count;
    return (const char *const *)value->words;
}

const char *options_noted(const struct options *options, size_t i)
{
    return i < options->noted_count ? options->noted[i] : NULL;
}
