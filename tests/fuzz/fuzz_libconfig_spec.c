/* Resources in the syntax of libconfig: see spec_property.h; and the same bytes as paddock.conf, which must be taken
 * whole or change nothing. */
#include "config.h"

#include "core/spec/daemon_config.h"
#include "tests/fuzz/spec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_daemon_config(const uint8_t *data, size_t size)
{
    static struct daemon_config config, before; /* static: no padding that differs */
    pdk_error err = {0};
    daemon_config_default(&config);
    before = config;
    pdk_status status = daemon_config_read_text("fuzz", (const char *)data, size, &config, &err);
    if (status == PDK_OK)
        assert(config.listener_count <= DAEMON_LISTENERS_MAX && config.connections >= 8 && config.domain[253] == '\0');
    else
        assert(err.status == status && strncmp(err.message, "fuzz", 4) == 0 &&
               memcmp(&config, &before, sizeof config) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_documents(SYNTAX_CONF, data, size);
    check_daemon_config(data, size);
    return 0;
}
