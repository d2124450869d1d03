/* Comparing takes the same steps whether a key is right, wrong or absent: the SHA-256 of what was shown is compared
 * with every digest over all bytes. So no time tells how much of a guess was right, nor whether a key exists. */
#include "config.h"

#include "core/gateway/keys.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/siphash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct key {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t tenant;
    char *services; /* names with a comma before and behind each; NULL: all */
};

struct keys {
    atomic_int references;
    struct key **all;
    size_t count, room;
};

struct key *key_free(struct key *key)
{
    if (key != NULL) {
        OPENSSL_cleanse(key->digest, sizeof key->digest);
        free(key->services);
        free(key);
    }
    return NULL;
}

PDK_DEFINE_CLEANUP(struct key, key_free)

/* Fixed, so that a tenant has the same number in every process that must agree on it. */
static uint64_t tenant_hash(const char *name, size_t length)
{
    static const struct siphash_key fixed = {0x7061646f636b5f74, 0x656e616e745f6964};
    uint64_t hash = siphash64(&fixed, name, length);
    return hash != 0 ? hash : 1;
}

static bool read_digest(const char *hex, size_t length, unsigned char *digest)
{
    if (length != 2 * SHA256_DIGEST_LENGTH)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = hex[i];
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0)
            return false;
        digest[i / 2] = (unsigned char)(i % 2 == 0 ? value << 4 : digest[i / 2] | value);
    }
    return true;
}

static pdk_status read_key_line(struct key *key, const char *line, size_t length, pdk_error *err)
{
    if (length > 7 && memcmp(line, "sha256:", 7) == 0) {
        if (!read_digest(line + 7, length - 7, key->digest))
            return pdk_error_set(err, PDK_INVALID, "sha256", "sha256: must be followed by 64 hexadecimal digits");
        return PDK_OK;
    }
    if (length < 8 || length > KEY_BYTES_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "key", "the key has %zu bytes; it may have 8 to %d", length, KEY_BYTES_MAX);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] <= 0x20 || (unsigned char)line[i] >= 0x7F)
            return pdk_error_set(
                err, PDK_INVALID, "key", "the key may hold visible ASCII only; byte %zu is not", i + 1);
    SHA256((const unsigned char *)line, length, key->digest);
    return PDK_OK;
}

static pdk_status read_services(struct key *key, const char *list, size_t length, pdk_error *err)
{
    if (key->services != NULL)
        return pdk_error_set(err, PDK_INVALID, "services", "services= is there twice");
    for (size_t i = 0; i < length; i++) {
        char c = list[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-./,", c) != NULL;
        if (!plain || c == '\0')
            return pdk_error_set(err, PDK_INVALID, "services",
                "services= takes names ([a-z0-9.-], NAMESPACE/NAME) with commas between and no blanks");
    }
    if (length == 0)
        return pdk_error_set(err, PDK_INVALID, "services", "services= names no service; leave it out to allow all");
    key->services = malloc(length + 3);
    if (key->services == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "services", "out of memory");
    key->services[0] = ',';
    memcpy(key->services + 1, list, length);
    memcpy(key->services + 1 + length, ",", 2);
    return PDK_OK;
}

static pdk_status read_option(struct key *key, const char *line, size_t length, pdk_error *err)
{
    if (length >= 7 && memcmp(line, "tenant=", 7) == 0) {
        if (length == 7 || length > 7 + 253)
            return pdk_error_set(err, PDK_INVALID, "tenant", "tenant= takes a name of 1 to 253 bytes");
        key->tenant = tenant_hash(line + 7, length - 7);
        return PDK_OK;
    }
    if (length >= 9 && memcmp(line, "services=", 9) == 0)
        return read_services(key, line + 9, length - 9, err);
    /* The line is not quoted: it may be a key put on the wrong one. */
    return pdk_error_set(err, PDK_INVALID, "", "only tenant= and services= may follow the key");
}

pdk_status key_read(const char *name, const char *text, size_t length, struct key **ret_key, pdk_error *err)
{
    PDK_CLEANUP(key_freep) struct key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "key", "out of memory");
    key->tenant = tenant_hash(name, strlen(name));
    size_t number = 0;
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        size_t trimmed = line;
        while (trimmed > 0 && (text[trimmed - 1] == ' ' || text[trimmed - 1] == '\r' || text[trimmed - 1] == '\t'))
            trimmed--;
        number++;
        pdk_status status = PDK_OK;
        if (number == 1)
            status = read_key_line(key, text, trimmed, err);
        else if (trimmed > 0 && text[0] != '#')
            status = read_option(key, text, trimmed, err);
        if (status != PDK_OK) {
            pdk_error_wrap(err, "line %zu", number);
            return status;
        }
        size_t used = newline != NULL ? line + 1 : line;
        text += used;
        length -= used;
    }
    if (number == 0)
        return pdk_error_set(err, PDK_INVALID, "key", "the file is empty");
    *ret_key = PDK_STEAL(key);
    return PDK_OK;
}

static pdk_status load_one(struct keys *keys, const char *folder, const char *name, pdk_error *err)
{
    PDK_AUTO_FREE char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return pdk_error_set(err, PDK_NO_MEMORY, "keys", "out of memory");
    }
    struct stat info;
    if (stat(path, &info) != 0)
        return pdk_error_errno(err, errno, "keys", "cannot read %s", path);
    if ((info.st_mode & 07777 & ~0640) != 0)
        return pdk_error_set(err, PDK_DENIED, "keys",
            "%s has mode %04o; a key may be 0640 at most, else others can read it", path, info.st_mode & 07777u);
    if (keys->count >= KEYS_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "keys", "%s holds more than %d keys", folder, KEYS_MAX);
    if (!array_grow(&keys->all, &keys->room, keys->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "keys", "out of memory");
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = file_read(path, 65536, &text, err);
    if (status == PDK_OK)
        status = key_read(name, text.data != NULL ? text.data : "", text.length, &keys->all[keys->count], err);
    if (text.data != NULL)
        OPENSSL_cleanse(text.data, text.length);
    if (status != PDK_OK) {
        pdk_error_wrap(err, "%s", path);
        return status;
    }
    keys->count++;
    return PDK_OK;
}

static void close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

PDK_DEFINE_CLEANUP(struct keys, keys_unref)

pdk_status keys_load(const char *folder, struct keys **ret_keys, pdk_error *err)
{
    PDK_CLEANUP(keys_unrefp) struct keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "keys", "out of memory");
    atomic_init(&keys->references, 1);
    PDK_CLEANUP(close_folder) DIR *entries = folder != NULL ? opendir(folder) : NULL;
    if (folder != NULL && entries == NULL && errno != ENOENT)
        return pdk_error_errno(err, errno, "keys", "cannot read %s", folder);
    while (entries != NULL) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL && errno != 0)
            return pdk_error_errno(err, errno, "keys", "cannot read %s", folder);
        if (entry == NULL)
            break;
        /* Editors leave NAME~ and .NAME.swp behind. */
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || entry->d_name[length - 1] == '~')
            continue;
        pdk_status status = load_one(keys, folder, entry->d_name, err);
        if (status != PDK_OK)
            return status;
    }
    *ret_keys = PDK_STEAL(keys);
    return PDK_OK;
}

struct keys *keys_ref(struct keys *keys)
{
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

struct keys *keys_unref(struct keys *keys)
{
    /* Release and acquire pair among the owners: the last one sees what the others did. */
    if (keys == NULL || atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < keys->count; i++)
        key_free(keys->all[i]);
    free(keys->all);
    free(keys);
    return NULL;
}

size_t keys_count(const struct keys *keys)
{
    return keys->count;
}

const struct key *keys_find(const struct keys *keys, const char *shown, size_t length)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)shown, length, digest);
    const struct key *found = NULL;
    for (size_t i = 0; i < keys->count; i++)
        if (CRYPTO_memcmp(digest, keys->all[i]->digest, sizeof digest) == 0)
            found = keys->all[i];
    OPENSSL_cleanse(digest, sizeof digest);
    return found;
}

uint64_t key_tenant(const struct key *key)
{
    return key->tenant;
}

bool key_allows(const struct key *key, const char *namespace_, const char *service)
{
    if (key->services == NULL)
        return true;
    char wanted[2 * 254 + 4];
    int length = snprintf(wanted, sizeof wanted, ",%s/%s,", namespace_, service);
    if (length < 0 || (size_t)length >= sizeof wanted)
        return false;
    if (strstr(key->services, wanted) != NULL)
        return true;
    /* A name alone is one of the namespace `default`. */
    if (strcmp(namespace_, "default") != 0)
        return false;
    snprintf(wanted, sizeof wanted, ",%s,", service);
    return strstr(key->services, wanted) != NULL;
}

bool key_is_limited(const struct key *key)
{
    return key->services != NULL;
}
