/* See the header. */
#include "config.h"

#include "runtimes/huggingface/guided/lark_common.h"

#include <string.h>

#define INT     "[0-9]+"
#define DECIMAL "(?:[0-9]+\\.[0-9]*|\\.[0-9]+)"
#define EXP     "[eE][+-]?[0-9]+"
#define FLOAT   "(?:" INT EXP "|" DECIMAL "(?:" EXP ")?)"
#define NUMBER  "(?:" FLOAT "|" INT ")"

static const struct {
    const char *name, *pattern;
} terminals[] = {
    {"CNAME", "[_A-Za-z][_A-Za-z0-9]*"},
    {"CPP_COMMENT", "//[^\\n]*"},
    {"CR", "\\r"},
    {"C_COMMENT", "/\\*(?:[^*]|\\*+[^*/])*\\*+/"},
    {"DECIMAL", DECIMAL},
    {"DIGIT", "[0-9]"},
    {"ESCAPED_STRING", "\"(?:[^\"\\\\\\n]|\\\\[^\\n])*\""},
    {"FLOAT", FLOAT},
    {"HEXDIGIT", "[0-9a-fA-F]"},
    {"INT", INT},
    {"LCASE_LETTER", "[a-z]"},
    {"LETTER", "[A-Za-z]"},
    {"LF", "\\n"},
    {"NEWLINE", "(?:\\r?\\n)+"},
    {"NUMBER", NUMBER},
    {"SH_COMMENT", "#[^\\n]*"},
    {"SIGNED_FLOAT", "[+-]?" FLOAT},
    {"SIGNED_INT", "[+-]?" INT},
    {"SIGNED_NUMBER", "[+-]?" NUMBER},
    {"SQL_COMMENT", "--[^\\n]*"},
    {"UCASE_LETTER", "[A-Z]"},
    {"WORD", "[A-Za-z]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"WS_INLINE", "[ \\t]+"},
    {"_EXP", EXP},
};

const char *lark_common_pattern(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof terminals / sizeof terminals[0]; i++)
        if (strlen(terminals[i].name) == length && memcmp(terminals[i].name, name, length) == 0)
            return terminals[i].pattern;
    return NULL;
}
