/* The real gateway before a control that is not: serves until stdin ends. Prints "port PORT".
 * usage: gateway_server LISTEN[,door] … [keys=FOLDER] [certificate=FILE] [limits: NAME=VALUE] */
#include "config.h"

#include "tests/unit/fake_control.h"

#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static struct gateway_config config = {.connections = 64, .access_log = true};
    pdk_error err = {0};
    log_open("gateway_server", getenv("PADDOCK_TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
    for (int i = 1; i < argc; i++) {
        char *equal = strchr(argv[i], '=');
        if (strncmp(argv[i], "keys=", 5) == 0) {
            config.keys = argv[i] + 5;
        } else if (strncmp(argv[i], "certificate=", 12) == 0) {
            snprintf(config.listeners[0].certificate, sizeof config.listeners[0].certificate, "%s", argv[i] + 12);
        } else if (equal != NULL) {
            *equal = '\0';
            if (limit_set(argv[i], strtoull(equal + 1, NULL, 10), &err) != PDK_OK) {
                fprintf(stderr, "%s\n", err.message);
                return 2;
            }
        } else {
            struct gateway_listener *listener = &config.listeners[config.listener_count++];
            char *comma = strchr(argv[i], ',');
            listener->door = comma != NULL;
            snprintf(listener->address, sizeof listener->address, "%.*s", (int)strcspn(argv[i], ","), argv[i]);
        }
    }
    struct gateway *gateway;
    if (gateway_start(&config, NULL, NULL, &gateway, &err) != PDK_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("port %d\n", gateway_port(gateway));
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "reload\n") == 0)
            printf("%s\n", gateway_reload(gateway, &err) == PDK_OK ? "ok" : err.message);
        if (strcmp(line, "drain\n") == 0)
            fake_control_drain();
        fflush(stdout);
    }
    gateway_stop(gateway, 2000);
    return 0;
}
