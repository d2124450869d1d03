/* The formats of strings that are known, as regular expressions. Others only describe. */
#include "config.h"

#include "runtimes/huggingface/guided/schema_terms.h"

#include <string.h>

/* Days by month, February having 28: a leap day is not worth a state for each year. */
#define DATE                                                                                                          \
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[" \
    "0-9]|2["                                                                                                         \
    "0-8]))"
#define CLOCK  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"
#define ZONE   "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE   "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4   "(?:" BYTE "\\.){3}" BYTE
#define GROUP  "[0-9A-Fa-f]{1,4}"
#define LABEL  "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define HOST   LABEL "(?:\\." LABEL "){0,3}"
#define ESCAPE "%[0-9A-Fa-f]{2}"
#define PCHAR  "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|" ESCAPE ")"
#define TAIL   "(?:\\?(?:" PCHAR "|[/?])*)?(?:#(?:" PCHAR "|[/?])*)?"
#define AUTHORITY                                                                                                      \
    "//(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|" ESCAPE ")*@)?(?:[A-Za-z0-9._~-]|" ESCAPE ")*(?::[0-9]{0,5})?(?:/" PCHAR "*" \
    ")"                                                                                                                \
    "*"
#define PATH  "(?:/(?:" PCHAR "+(?:/" PCHAR "*)*)?|" PCHAR "+(?:/" PCHAR "*)*)?"
#define TIMES "(?:T(?:[0-9]{1,9}H(?:[0-9]{1,9}M)?(?:[0-9]{1,9}S)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S))"

static const struct {
    const char *name, *regex;
} formats[] = {
    {"date", DATE},
    {"time", CLOCK ZONE},
    {"date-time", DATE "T" CLOCK ZONE},
    {"duration", "P(?:(?:[0-9]{1,9}Y(?:[0-9]{1,9}M(?:[0-9]{1,9}D)?)?|[0-9]{1,9}M(?:[0-9]{1,9}D)?|[0-9]{1,9}D)" TIMES
                 "?|" TIMES "|[0-9]{1,9}W)"},
    {"email", "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,15}){0,2}@" HOST},
    {"idn-email", "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,15}){0,2}@" HOST},
    {"hostname", HOST},
    {"idn-hostname", HOST},
    {"ipv4", IPV4},
    {"ipv6", "(?:" GROUP ":){7}" GROUP "|(?:" GROUP ":){1,7}:|(?:" GROUP ":){1,6}:" GROUP "|(?:" GROUP
             ":){1,5}(?::" GROUP "){1,2}|(?:" GROUP ":){1,4}(?::" GROUP "){1,3}|(?:" GROUP ":){1,3}(?::" GROUP
             "){1,4}|(?:" GROUP ":){1,2}(?::" GROUP "){1,5}|" GROUP ":(?::" GROUP "){1,6}|:(?:(?::" GROUP "){1,7}|:)"},
    {"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
    {"uri", "[A-Za-z][A-Za-z0-9+.-]*:(?:" AUTHORITY "|" PATH ")" TAIL},
    {"iri", "[A-Za-z][A-Za-z0-9+.-]*:(?:" AUTHORITY "|" PATH ")" TAIL},
    {"uri-reference",
        "(?:[A-Za-z][A-Za-z0-9+.-]*:(?:" AUTHORITY "|" PATH ")|" AUTHORITY "|/(?:" PCHAR "+(?:/" PCHAR "*)*)?|)" TAIL},
    {"json-pointer", "(?:/(?:[^~/]|~[01])*)*"},
    {"relative-json-pointer", "(?:0|[1-9][0-9]{0,8})(?:#|(?:/(?:[^~/]|~[01])*)*)"},
};

const char *schema_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].regex;
    }
    return NULL;
}
