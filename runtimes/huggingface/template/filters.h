/* runtimes/huggingface/template/filters.h: filters by file. */
#pragma once

#include "runtimes/huggingface/template/render.h"

typedef bool filter_function(
    struct render *render, struct value input, const struct arguments *arguments, struct value *ret_value);

filter_function filter_batch, filter_dictsort, filter_first, filter_groupby, filter_items, filter_last, filter_list,
    filter_map, filter_max, filter_min, filter_reject, filter_rejectattr, filter_reverse, filter_select,
    filter_selectattr, filter_sort, filter_sum, filter_unique;
/* input.a.b.0, the path given as a text or a number. */
bool get_path(struct render *render, struct value input, struct value path, struct value *ret_value);
