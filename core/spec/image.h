/* core/spec/image.h: from a container's image to a runtime plugin. Images are names here; none is ever run. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>

/* Annotation of a runtime: repositories, separated by commas, that its own plugin answers for. */
#define IMAGE_ANNOTATION "paddock/images"

enum { PLUGIN_NAME_MAX = 64 };

/* "paddock/NAME", with any tag: NAME ([a-z0-9-]{1,63}). PDK_NOT_FOUND: another repository. PDK_INVALID: a bad NAME. */
pdk_status image_plugin(const char *image, char ret_plugin[PLUGIN_NAME_MAX], pdk_error *err);
/* Whether `list` ("kserve/huggingfaceserver, vllm/vllm-openai") has the image's repository, whatever its tag or digest.
 */
bool image_listed(const char *image, const char *list);
