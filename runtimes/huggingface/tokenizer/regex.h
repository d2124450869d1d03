/* runtimes/huggingface/tokenizer/regex.h: the regular expressions of tokenizer files, by PCRE2 under limits (matching
 * steps, depth, 64 MiB of heap, no JIT). A limit that is reached is an error of the request, never "no match". */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>

struct regex;       /* compiled; shared by threads */
struct regex_state; /* of one search; one thread */

/* Expressions in Oniguruma's syntax that mean something else to PCRE2 are refused. */
pdk_status regex_new(const char *pattern, size_t length, struct regex **ret_regex, pdk_error *err);
struct regex *regex_free(struct regex *regex);
struct regex_state *regex_state_new(const struct regex *regex); /* NULL: out of memory */
struct regex_state *regex_state_free(struct regex_state *state);
/* The first match at or behind `from` in valid UTF-8. *ret_found false: none. */
pdk_status regex_find(const struct regex *regex, struct regex_state *state, const char *text, size_t length,
    size_t from, bool *ret_found, size_t *ret_start, size_t *ret_end, pdk_error *err);
