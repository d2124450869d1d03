/* runtimes/huggingface/tokenizer/bytes.h: GPT-2's alphabet, in which each byte is one printable character, and turning
 * bytes into text. */
#pragma once

#include "core/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

uint32_t byte_to_char(uint8_t byte);
int char_to_byte(uint32_t code); /* -1: not of the alphabet */
/* Appends the characters that stand for `bytes`. */
void bytes_spell(struct buffer *out, const char *bytes, size_t length);
/* Appends the bytes that `text` spells; false, and nothing appended, when a character is not of the alphabet. */
bool bytes_unspell(struct buffer *out, const char *text, size_t length);
/* Appends `bytes` as UTF-8: each longest prefix of a character that goes wrong becomes one U+FFFD. */
void bytes_to_text(struct buffer *out, const char *bytes, size_t length);
/* The byte that a piece like <0x0A> stands for, or -1. */
int byte_of_piece(const char *piece, size_t length);
