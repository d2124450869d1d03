/* Any text is a grammar in one of the notations, or is refused with a line and a reason. */
#include "config.h"

#include "runtimes/huggingface/guided/readers.h"

#include "guided_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *grammar = guided_grammar();
    pdk_guide what = {.kind = PDK_GUIDE_GRAMMAR, .text = {(const char *)data, size}};
    grammar_node root = GRAMMAR_FAILED;
    pdk_error err = {0};
    pdk_status status = read_grammar(grammar, &what, &root, &err);
    assert(status == PDK_OK ? root != GRAMMAR_FAILED : err.status == status && err.message[0] != '\0');
    if (status == PDK_OK) {
        grammar_set_root(grammar, root);
        guided_check(grammar, data, size);
    }
    grammar_free(grammar);
    return 0;
}
