/* See the header. */
#include "config.h"

#include "gguf_write.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void put_u32(struct buffer *out, uint32_t value)
{
    buffer_put(out, &value, sizeof value);
}

void put_u64(struct buffer *out, uint64_t value)
{
    buffer_put(out, &value, sizeof value);
}

void put_string(struct buffer *out, const char *text)
{
    put_u64(out, strlen(text));
    buffer_puts(out, text);
}

void put_head(struct buffer *out, uint32_t version, uint64_t tensors, uint64_t values)
{
    buffer_puts(out, "GGUF");
    put_u32(out, version);
    put_u64(out, tensors);
    put_u64(out, values);
}

void put_value_u32(struct buffer *out, const char *key, uint32_t value)
{
    put_string(out, key);
    put_u32(out, 4);
    put_u32(out, value);
}

void put_value_f32(struct buffer *out, const char *key, float value)
{
    put_string(out, key);
    put_u32(out, 6);
    buffer_put(out, &value, sizeof value);
}

void put_value_string(struct buffer *out, const char *key, const char *value)
{
    put_string(out, key);
    put_u32(out, 8);
    put_string(out, value);
}

void put_tensor(
    struct buffer *out, const char *name, uint32_t rank, const uint64_t *shape, uint32_t type, uint64_t offset)
{
    put_string(out, name);
    put_u32(out, rank);
    for (uint32_t i = 0; i < rank; i++)
        put_u64(out, shape[i]);
    put_u32(out, type);
    put_u64(out, offset);
}

void put_zeros(struct buffer *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_putc(out, '\0');
}

void put_padding(struct buffer *out, size_t alignment)
{
    while (out->length % alignment != 0)
        buffer_putc(out, '\0');
}

uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 23 & 255) - 112;
    if (exponent <= 0)
        return (uint16_t)(bits >> 16 & 0x8000u);
    return (uint16_t)((bits >> 16 & 0x8000u) | (uint32_t)exponent << 10 | (bits >> 13 & 1023u));
}

static char folder[64];
static pid_t owner;

static void remove_folder(void)
{
    if (owner != getpid())
        return;
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(entries);
    rmdir(folder);
}

/* Each test runs in a process of its own (Check forks), so each makes and removes its own folder. */
const char *temporary_folder(void)
{
    if (owner == getpid())
        return folder;
    snprintf(folder, sizeof folder, "/tmp/paddock-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    owner = getpid();
    atexit(remove_folder);
    return folder;
}

const char *temporary_file(const char *name, const void *bytes, size_t length)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", temporary_folder(), name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}
