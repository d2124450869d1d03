/* runtimes/huggingface/template/methods.h: what texts can do, for methods and for the filters that do the same. */
#pragma once

#include "runtimes/huggingface/template/render.h"

typedef bool text_function(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value);

text_function text_strip, text_lstrip, text_rstrip, text_split, text_rsplit, text_splitlines, text_upper, text_lower,
    text_title, text_capitalize, text_replace, text_format, text_center;
/* Puts `separator` between the texts of the list's items. */
bool text_join_list(
    struct render *render, const struct text *separator, const struct list *list, struct value *ret_value);
