/* runtimes/huggingface/model/layout.h: how the numbers of a tensor lie in its file, where that is not the order in
 * which a weight has them; a property of the architecture's row. */
#pragma once

#include "runtimes/huggingface/model/model_config.h"

enum layout {
    LAYOUT_ROWS,       /* as a weight has them: outputs x inputs */
    LAYOUT_TRANSPOSED, /* inputs x outputs */
    LAYOUT_BY_KEY_HEAD /* rows of query, key and value: of each key head its queries, its key, its value */
};

/* Of which row in the file row `row` of stacked queries, keys and values is. */
uint32_t layout_row_by_key_head(const struct model_config *config, uint32_t row);
/* Writes `rows` rows of `columns` units of `unit` bytes (a number, or a block of them) in a weight's order. */
void layout_copy(enum layout layout, const struct model_config *config, const void *from, uint32_t rows,
    uint32_t columns, size_t unit, void *to);
