/* A raw head with a body behind it. What is taken
 * holds head_read's invariant, and the body's framing ends at the same byte however it is cut. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/gateway/framing.h"
#include "core/gateway/head.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_invariant(const struct head *head)
{
    size_t hosts = 0, lengths = 0, codings = 0;
    assert(head->method[0] != '\0' && head->target[0] == '/' && head->minor <= 1);
    for (size_t i = 0; i < head->count; i++) {
        const char *name = head->fields[i].name;
        assert(name[0] != '\0' && strpbrk(name, " \t:") == NULL);
        assert(strpbrk(head->fields[i].value, "\r\n") == NULL);
        hosts += strcasecmp(name, "Host") == 0;
        lengths += strcasecmp(name, "Content-Length") == 0;
        codings += strcasecmp(name, "Transfer-Encoding") == 0;
    }
    assert(hosts <= 1 && lengths + codings <= 1);
    assert(hosts == 1 || head->minor == 0);
}

/* The body cut in two at `cut` ends where it ends in one piece. */
static void check_framing(const struct head *head, const char *body, size_t length, size_t cut)
{
    struct framing whole = framing_of(head), parts = whole;
    size_t used = 0, first = 0, second = 0;
    bool fine = framing_take(&whole, body, length, &used);
    bool parts_fine =
        framing_take(&parts, body, cut, &first) && framing_take(&parts, body + first, length - first, &second);
    assert(fine == parts_fine);
    if (fine)
        assert(used == first + second && whole.state == parts.state && used <= length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t end = head_end(text, size, 0);
    assert(end <= size && (end == 0 || memcmp(text + end - 4, "\r\n\r\n", 4) == 0));
    struct head head;
    const struct head_fault *fault = head_read(&head, text, end != 0 ? end : size);
    if (fault != NULL) {
        assert(head.text == NULL && fault->status >= 400 && fault->message[0] != '\0');
        return 0;
    }
    check_invariant(&head);
    for (size_t cut = 0; cut <= size - end && cut < 16; cut++)
        check_framing(&head, text + end, size - end, cut);
    head_done(&head);
    return 0;
}
