/* See the header. */
#include "config.h"

#include "core/control/binding.h"

#include "core/base/error.h"

#include <string.h>

/* The last one of a name wins, as in a process. */
static const char *value_of(const struct text_list *environment, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = environment->count; i > 0; i--) {
        const char *at = environment->items[i - 1];
        if (strncmp(at, name, length) == 0 && at[length] == '=' && at[length + 1] != '\0')
            return at + length + 1;
    }
    return NULL;
}

/* Reads a decimal number below 1 << 20 and moves past it. */
static bool take_number(const char **at, uint32_t *ret_number)
{
    uint32_t number = 0;
    const char *from = *at;
    while (**at >= '0' && **at <= '9' && number < 1 << 20)
        number = 10 * number + (uint32_t)(*(*at)++ - '0');
    *ret_number = number;
    return *at != from && number < 1 << 20;
}

/* OpenMP's form may be a list, one number for each level of nesting; the first counts here. */
static pdk_status read_threads(const struct text_list *environment, const char *name, uint32_t *threads, pdk_error *err)
{
    const char *text = value_of(environment, name), *at = text;
    uint32_t number;
    if (text == NULL)
        return PDK_OK;
    if (!take_number(&at, &number) || number == 0 || (*at != '\0' && *at != ','))
        return pdk_error_value(
            err, PDK_INVALID, name, text, "%s: '%.64s' is not a number of threads from 1 to 1048575", name, text);
    if (*threads == 0 || number < *threads)
        *threads = number;
    return PDK_OK;
}

static bool take_list(const char *at, cpu_set_t *ret_cpus)
{
    CPU_ZERO(ret_cpus);
    for (;; at++) {
        uint32_t first, last;
        if (!take_number(&at, &first))
            return false;
        last = first;
        if (*at == '-') {
            at++;
            if (!take_number(&at, &last))
                return false;
        }
        if (last < first || last >= CPU_SETSIZE)
            return false;
        for (uint32_t cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, ret_cpus);
        if (*at == '\0' || *at == '|')
            return true;
        if (*at != ',')
            return false;
    }
}

pdk_status binding_read(const struct text_list *environment, struct binding *ret_binding, pdk_error *err)
{
    static const char bind[] = "VLLM_CPU_OMP_THREADS_BIND";
    *ret_binding = (struct binding){0};
    pdk_status status = read_threads(environment, "OMP_NUM_THREADS", &ret_binding->threads, err);
    if (status == PDK_OK)
        status = read_threads(environment, "OPENBLAS_NUM_THREADS", &ret_binding->threads, err);
    const char *text = value_of(environment, bind);
    if (status != PDK_OK || text == NULL || strcmp(text, "auto") == 0 || strcmp(text, "nobind") == 0)
        return status;
    if (!take_list(text, &ret_binding->cpus))
        return pdk_error_value(err, PDK_INVALID, bind, text,
            "%s: '%.64s' is neither a list of processors (\"0-3,8\", below %d) nor auto or nobind", bind, text,
            CPU_SETSIZE);
    ret_binding->bound = true;
    return PDK_OK;
}
