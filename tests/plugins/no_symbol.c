/* A shared object that is no plugin. */
#include "stub.h"

extern PDK_EXPORT const int pdk_runtime_entries;
const int pdk_runtime_entries = 1;
