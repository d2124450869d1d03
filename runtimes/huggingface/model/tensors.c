/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/tensors.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/gguf_types.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/printable.h"
#include "runtimes/huggingface/model/quantised.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_strings(pdk_string a, pdk_string b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_names(const void *a, const void *b)
{
    return compare_strings(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static pdk_status take_room(struct tensors *tensors, size_t count, pdk_error *err)
{
    tensors->items = calloc(count + 1, sizeof *tensors->items);
    if (tensors->items == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tensors", "no memory for %zu tensors", count);
    return PDK_OK;
}

pdk_status tensors_of_gguf(const struct gguf *gguf, struct tensors *ret_tensors, pdk_error *err)
{
    struct tensors tensors = {0};
    size_t count = gguf_tensor_count(gguf);
    pdk_status status = take_room(&tensors, count, err);
    if (status != PDK_OK)
        return status;
    for (; tensors.count < count; tensors.count++) {
        const struct gguf_tensor *from = gguf_tensor_at(gguf, tensors.count);
        const char *type_name = gguf_type_row(from->type)->name;
        struct tensor *to = &tensors.items[tensors.count];
        *to = (struct tensor){.name = from->name,
            .type_name = type_name,
            .type = number_type(type_name),
            .rank = from->rank,
            .data = from->data,
            .bytes = from->bytes};
        for (uint32_t i = 0; i < from->rank; i++)
            to->shape[i] = from->shape[from->rank - 1 - i];
    }
    *ret_tensors = tensors; /* GGUF tensors are sorted and unique already */
    return PDK_OK;
}

pdk_status tensors_of_files(struct safetensors *const *files, size_t count, struct tensors *ret_tensors, pdk_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += safetensors_count(files[i]);
    struct tensors tensors = {0};
    pdk_status status = take_room(&tensors, total, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < safetensors_count(files[i]); k++) {
            const struct safetensors_tensor *from = safetensors_at(files[i], k);
            struct tensor *to = &tensors.items[tensors.count++];
            *to = (struct tensor){.name = {from->name, strlen(from->name)},
                .type_name = from->dtype,
                .type = number_type(from->dtype),
                .rank = from->rank,
                .data = from->data,
                .bytes = from->bytes};
            memcpy(to->shape, from->shape, sizeof to->shape);
        }
    }
    status = tensors_sort(&tensors, err);
    if (status != PDK_OK) {
        tensors_done(&tensors);
        return status;
    }
    *ret_tensors = tensors;
    return PDK_OK;
}

pdk_status tensors_sort(struct tensors *tensors, pdk_error *err)
{
    if (tensors->count != 0)
        qsort(tensors->items, tensors->count, sizeof *tensors->items, compare_names);
    for (size_t i = 1; i < tensors->count; i++) {
        const char *name = tensors->items[i].name.data;
        if (compare_names(&tensors->items[i - 1], &tensors->items[i]) == 0)
            return pdk_error_value(err, PDK_INVALID, "tensors", name, "'%s' is there twice", printable(name).text);
    }
    return PDK_OK;
}

void tensors_done(struct tensors *tensors)
{
    for (size_t i = 0; i < tensors->count; i++) {
        quantised_free(tensors->items[i].quantised);
        free(tensors->items[i].own_name);
    }
    free(tensors->items);
    *tensors = (struct tensors){0};
}

struct tensor *tensors_find(const struct tensors *tensors, const char *name)
{
    pdk_string wanted = {name, strlen(name)};
    size_t low = 0, high = tensors->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_strings(tensors->items[middle].name, wanted);
        if (order == 0)
            return &tensors->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
