/* core/base/json.h: reading and writing JSON.
 *
 * A document is read in one linear pass without recursion, into one arena, as a tree that never changes; budgets,
 * UTF-8, the grammar of numbers, duplicate keys and trailing bytes are checked on the way. Numbers keep their text, so
 * that no integer loses bits. Look-ups are case-sensitive. YAML and libconfig documents become the same tree
 * (core/spec), hence line and column on each value. cJSON serves where a document is put together to be changed and
 * printed. */
#pragma once

#include "core/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    uint32_t line, column; /* from 1; 0 when made by hand */
    uint32_t count;        /* members or elements */
    const char *key;       /* of a member; ends in NUL and holds none */
    size_t key_length;
    const char *text;   /* STRING: its characters, NUL behind; NUMBER: as written */
    size_t length;      /* bytes of `text` */
    struct json *child; /* first member or element, in the document's order */
    struct json *next;
    struct json *last; /* where json_add left off: a long list costs no walk an element */
};

struct json_limits {
    size_t bytes, depth, nodes;
    bool allow_nan; /* take the literals NaN, Infinity, -Infinity, as Python writes them */
    bool allow_nul; /* take \u0000 in strings and keys: pieces of tokenizers */
};

/* 8 MiB, 64, 1,000,000. */
extern const struct json_limits json_limits_default;

struct json_document; /* owns the tree and its texts */

/* Reads all of `text`. On failure the error's field is "json" and its message names what, at which line, column and
 * byte. The text is copied as needed. */
pdk_status json_read(const char *text, size_t length, const struct json_limits *limits,
    struct json_document **ret_document, pdk_error *err);
struct json_document *json_document_free(struct json_document *document); /* takes NULL, returns NULL */
void json_document_freep(struct json_document **document);
const struct json *json_root(const struct json_document *document);

/* Building a tree by hand (YAML, libconfig). NULL: out of memory. `text` and `key` are copied. */
struct json_document *json_document_new(void);
struct json *json_add(struct json_document *document, struct json *parent, enum json_type type, const char *key,
    size_t key_length, const char *text, size_t length);
/* A second member `key` of `object`, or NULL. */
const struct json *json_get(const struct json *object, const char *key);
/* By path of keys separated by dots: "spec.predictor.model". NULL where one is missing. */
const struct json *json_path(const struct json *object, const char *path);

/* True for a STRING without NUL inside; borrows. */
bool json_string(const struct json *value, const char **ret_text);
bool json_bool(const struct json *value, bool *ret_value);
/* A NUMBER that is an integer in range, read from its text; 5, 5.0 and 5e0 are. */
bool json_int64(const struct json *value, int64_t *ret_value);
bool json_uint64(const struct json *value, uint64_t *ret_value);
/* Any NUMBER; NaN and infinities only from a document that allowed them. */
bool json_double(const struct json *value, double *ret_value);
/* "object", "string", … for messages. */
const char *json_type_name(const struct json *value);
/* Prints the tree as compact JSON. */
void json_print(struct buffer *out, const struct json *value);

/* Writing as a stream: commas and quotes are the writer's. Nesting is at most 32. */
struct json_writer {
    struct buffer *out;
    uint32_t depth;
    uint32_t filled; /* bit d: a value was written at depth d */
    bool after_key;
};

void json_write_object(struct json_writer *writer);
void json_write_array(struct json_writer *writer);
void json_write_end_object(struct json_writer *writer);
void json_write_end_array(struct json_writer *writer);
void json_write_key(struct json_writer *writer, const char *key);
void json_write_string(struct json_writer *writer, const char *text); /* NULL: null */
/* Invalid UTF-8 is written as U+FFFD. */
void json_write_text(struct json_writer *writer, const char *text, size_t length);
void json_write_int(struct json_writer *writer, int64_t value);
void json_write_uint(struct json_writer *writer, uint64_t value);
/* Shortest text that reads back to the same double; what is not finite becomes null. */
void json_write_double(struct json_writer *writer, double value);
/* The same for a float: shortest that reads back to the same float. */
void json_write_float(struct json_writer *writer, float value);
void json_write_bool(struct json_writer *writer, bool value);
void json_write_null(struct json_writer *writer);
void json_write_raw(struct json_writer *writer, const char *json, size_t length); /* a value, already JSON */
/* Only the quoted, escaped string. */
void json_escape(struct buffer *out, const char *text, size_t length);
