/* core/base/options.h: a runtime's arguments, read by the table of pdk_option that describes them.
 *
 * `--name VALUE`, `--name=VALUE`; '-' and '_' in names are the same, one dash does as well as two. A flag is `--name`,
 * `--no-name` or `--name=true`. Numbers take k, m, g (1000s, with decimals) and K, M, G (1024s). A list takes all words
 * up to the next argument. An option whose default is a JSON object takes JSON, or members: `--name.member VALUE`. The
 * last one of a name wins. An unknown argument is an error that names the nearest known one. */
#pragma once

#include <paddock/draft/options.h>
#include <stdbool.h>

struct options;

/* Borrows `table`; copies the arguments. PDK_INVALID: the error's field is the argument ("--max-model-len").
 * PDK_UNSUPPORTED: a refused one, with the table's reason. */
pdk_status options_parse(
    const pdk_options *table, const char *const *arguments, size_t count, struct options **ret_options, pdk_error *err);
struct options *options_free(struct options *options); /* takes NULL, returns NULL */
void options_freep(struct options **options);

/* By the name in the table, which must be there. What was not given has its default. */
bool options_given(const struct options *options, const char *name);
bool options_flag(const struct options *options, const char *name);
int64_t options_integer(const struct options *options, const char *name); /* 0 where neither value nor default is */
double options_number(const struct options *options, const char *name);
const char *options_text(const struct options *options, const char *name); /* or NULL; of a list, its first word */
/* The words of a list; *ret_count is 0 when it was not given. */
const char *const *options_words(const struct options *options, const char *name, size_t *ret_count);
/* The i-th argument given that has no effect, as "--name: why", or NULL. Borrowed. */
const char *options_noted(const struct options *options, size_t i);

/* A number with a suffix. False: it is none, or out of the range of a double. */
bool options_read_number(const char *text, double *ret_value);
/* y, yes, t, true, on, 1, or their opposites, in any case. */
bool options_read_bool(const char *text, bool *ret_value);
