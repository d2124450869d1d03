/* tests/unit/golden_check.h: what the reference computed for a model: prompts, logits and greedy continuations, beside
 * what a run gives. */
#pragma once

#include "forward_run.h"

enum { GOLDEN_PROMPTS = 4 };

struct safetensors *golden_open(const char *folder); /* FOLDER/golden.safetensors; asserts by Check */
/* Adds prompt `prompt`, and as many tokens as the reference went on for. */
void golden_add(struct run *run, const struct safetensors *golden, uint32_t prompt);
/* Logits within 2e-4; `model` for messages. */
void golden_check_logits(const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt,
    size_t vocabulary, const char *model);
void golden_check_greedy(
    const struct run_sequence *sequence, const struct safetensors *golden, uint32_t prompt, const char *model);
/* Every prompt from `first` on, alone, in chunks of so many rows. */
void golden_check_all(
    struct run *run, const struct safetensors *golden, uint32_t first, uint32_t chunk, const char *model);
