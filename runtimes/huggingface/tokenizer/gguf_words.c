/* The file names a family and leaves its expressions to the reader; these are the ones of each family's tokenizer.json.
 */
#include "config.h"

#include "runtimes/huggingface/tokenizer/gguf_words.h"

#include <string.h>

#define GPT2          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define TAIL(n)       "|\\p{N}" n "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SHORT         "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS       "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPER         "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASES(end)    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" end
#define SLASH_TAIL(n) "|\\p{N}" n "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const char *const gpt2[] = {GPT2, NULL};
static const char *const digits_gpt2[] = {"\\p{N}", GPT2, NULL};
static const char *const llama3[] = {SHORT LETTERS TAIL("{1,3}"), NULL};
static const char *const qwen2[] = {SHORT LETTERS TAIL(""), NULL};
static const char *const gpt4o[] = {CASES(SHORT "?") SLASH_TAIL("{1,3}"), NULL};
static const char *const tekken[] = {CASES("") SLASH_TAIL(""), NULL};
static const char *const falcon[] = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]", NULL};
static const char *const fallback[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]", NULL};
static const char *const deepseek_coder[] = {
    "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}", NULL};
static const char *const deepseek3[] = {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    NULL};

static const struct gguf_words rows[] = {
    {.name = "command-r", .patterns = digits_gpt2},
    {.name = "dbrx", .patterns = llama3},
    {.name = "deepseek-coder", .patterns = deepseek_coder},
    {.name = "deepseek-r1-qwen", .patterns = qwen2},
    {.name = "deepseek-v3", .patterns = deepseek3},
    {.name = "default", .patterns = fallback},
    {.name = "exaone", .patterns = digits_gpt2},
    {.name = "falcon", .patterns = falcon, .spelled_digits = true},
    {.name = "falcon3", .patterns = llama3, .whole_words = true, .bos = true},
    {.name = "gpt-2", .patterns = gpt2},
    {.name = "gpt-4o", .patterns = gpt4o},
    {.name = "llama-bpe", .patterns = llama3, .whole_words = true, .bos = true},
    {.name = "llama-v3", .patterns = llama3, .whole_words = true, .bos = true},
    {.name = "llama3", .patterns = llama3, .whole_words = true, .bos = true},
    {.name = "llama4", .patterns = gpt4o},
    {.name = "mpt", .patterns = gpt2},
    {.name = "olmo", .patterns = gpt2},
    {.name = "phi-2", .patterns = gpt2},
    {.name = "qwen2", .patterns = qwen2, .compose = true},
    {.name = "refact", .patterns = digits_gpt2},
    {.name = "roberta-bpe", .patterns = gpt2, .bos = true},
    {.name = "smaug-bpe", .patterns = llama3},
    {.name = "smollm", .patterns = digits_gpt2},
    {.name = "stablelm2", .patterns = qwen2},
    {.name = "starcoder", .patterns = digits_gpt2},
    {.name = "tekken", .patterns = tekken, .whole_words = true, .bos = true},
};

const struct gguf_words *gguf_words_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    }
    return NULL;
}
