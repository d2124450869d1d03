/* Resources in the syntax of YAML: see spec_property.h. */
#include "config.h"

#include "tests/fuzz/spec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_documents(SYNTAX_YAML, data, size);
    return 0;
}
