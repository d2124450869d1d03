/* runtimes/huggingface/guided/program_parts.h: for the files that make a program. */
#pragma once

#include "runtimes/huggingface/guided/program.h"

/* Which positions reach the end of their rule; `by_text`: by any text, else by none. ret_marks: [position_count], to be
 * freed. */
pdk_status program_reach(const struct program *program, bool by_text, uint8_t **ret_marks, pdk_error *err);
