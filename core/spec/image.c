/* See the header. */
#include "config.h"

#include "core/spec/image.h"

#include "core/base/error.h"

#include <string.h>

static const char own[] = "paddock/";

/* Length of the repository: without tag and digest. A colon before the last slash is a registry's port. */
static size_t repository_length(const char *image)
{
    size_t length = strcspn(image, "@");
    for (size_t i = length; i > 0; i--) {
        if (image[i - 1] == '/')
            break;
        if (image[i - 1] == ':')
            return i - 1;
    }
    return length;
}

static const char *without_registry(const char *image)
{
    static const char hub[] = "docker.io/";
    return strncmp(image, hub, sizeof hub - 1) == 0 ? image + sizeof hub - 1 : image;
}

pdk_status image_plugin(const char *image, char ret_plugin[PLUGIN_NAME_MAX], pdk_error *err)
{
    if (strncmp(image, own, sizeof own - 1) != 0)
        return pdk_error_value(err, PDK_NOT_FOUND, "image", image, "image %.200s is no paddock/NAME", image);
    const char *name = image + sizeof own - 1;
    size_t length = repository_length(name);
    if (length == 0 || length >= PLUGIN_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") < length)
        return pdk_error_value(
            err, PDK_INVALID, "image", image, "image %.200s: a plugin's name has 1 to 63 of a-z, 0-9 and '-'", image);
    memcpy(ret_plugin, name, length);
    ret_plugin[length] = '\0';
    return PDK_OK;
}

bool image_listed(const char *image, const char *list)
{
    image = without_registry(image);
    size_t length = repository_length(image);
    for (const char *at = list + strspn(list, ", \t\n"); *at != '\0'; at += strspn(at, ", \t\n")) {
        size_t one = strcspn(at, ", \t\n");
        if (one == length && memcmp(at, image, one) == 0)
            return true;
        at += one;
    }
    return false;
}
