/* runtimes/huggingface/guided/lark_common.h: the terminals that Lark's grammars import from `common`. */
#pragma once

#include <stddef.h>

/* A regular expression, or NULL: there is none of that name. */
const char *lark_common_pattern(const char *name, size_t length);
