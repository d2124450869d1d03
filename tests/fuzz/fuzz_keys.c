/* A key's file: read or refused with a reason that quotes nothing of it. */
#include "config.h"

#include "core/gateway/keys.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key *key = NULL;
    pdk_error err = {0};
    pdk_status status = key_read("name", (const char *)data, size, &key, &err);
    assert((status == PDK_OK) == (key != NULL));
    if (status == PDK_OK) {
        assert(key_tenant(key) != 0);
        key_allows(key, "default", "iris");
    } else {
        assert(err.status == status && err.message[0] != '\0' && err.value[0] == '\0');
    }
    key_free(key);
    return 0;
}
