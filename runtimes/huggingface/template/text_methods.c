/* Methods of texts. What is cut out or put together keeps its marks; a changed letter has its source's mark. */
#include "config.h"

#include "runtimes/huggingface/template/methods.h"

#include "core/base/utf8.h"

#include <string.h>
#include <utf8proc.h>

static size_t char_at(const struct text *text, size_t at, uint32_t *ret_code)
{
    size_t size = utf8_decode(text->data + at, text->length - at, ret_code);
    if (size != 0)
        return size;
    *ret_code = (unsigned char)text->data[at]; /* a \x80 written in the template */
    return 1;
}

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool in_set(const struct text *set, uint32_t code)
{
    if (set == NULL)
        return is_space(code);
    for (size_t i = 0; i < set->length;) {
        uint32_t one;
        i += char_at(set, i, &one);
        if (one == code)
            return true;
    }
    return false;
}

static bool strip(struct render *render, const struct text *self, const struct arguments *arguments, bool left,
    bool right, struct value *ret_value)
{
    const struct text *set = NULL;
    size_t start = 0, end = self->length;
    uint32_t code;
    if (!argument_text(render, arguments, 0, "chars", &set) || !render_step(render, self->length / STEP_BYTES))
        return false;
    while (left && start < end) {
        size_t size = char_at(self, start, &code);
        if (!in_set(set, code))
            break;
        start += size;
    }
    while (right && end > start) {
        size_t at = end - 1;
        while (at > start && ((unsigned char)self->data[at] & 0xC0) == 0x80)
            at--;
        char_at(self, at, &code);
        if (!in_set(set, code))
            break;
        end = at;
    }
    return make_slice(render, self, start, end, ret_value);
}

bool text_strip(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return strip(render, self, arguments, true, true, ret_value);
}

bool text_lstrip(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return strip(render, self, arguments, true, false, ret_value);
}

bool text_rstrip(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return strip(render, self, arguments, false, true, ret_value);
}

static bool add_slice(struct render *render, struct list *list, const struct text *self, size_t start, size_t end)
{
    struct value part;
    return make_slice(render, self, start, end, &part) && list_add(render, list, part);
}

static bool split_white(struct render *render, const struct text *self, int64_t most, struct list *list)
{
    size_t at = 0;
    uint32_t code;
    while (at < self->length) {
        size_t size = char_at(self, at, &code);
        if (is_space(code)) {
            at += size;
            continue;
        }
        size_t start = at;
        if (most == 0) { /* the rest, without white space at its end */
            static const struct arguments none = {0};
            struct value rest;
            return make_slice(render, self, start, self->length, &rest) &&
                   strip(render, rest.text, &none, false, true, &rest) && list_add(render, list, rest);
        }
        while (at < self->length && (size = char_at(self, at, &code), !is_space(code)))
            at += size;
        most -= most > 0;
        if (!add_slice(render, list, self, start, at))
            return false;
    }
    return true;
}

static bool split(struct render *render, const struct text *self, const struct arguments *arguments, bool from_right,
    struct value *ret_value)
{
    const struct text *by = NULL;
    int64_t most = -1;
    struct list *list = list_new(render, LIST_LIST, 0);
    if (list == NULL || !argument_text(render, arguments, 0, "sep", &by) ||
        !argument_int(render, arguments, 1, "maxsplit", &most) || !render_step(render, self->length / STEP_BYTES))
        return false;
    *ret_value = value_list(list);
    if (by == NULL)
        return (!from_right || most < 0 ||
                   render_fail(render, "rsplit of white space with a limit is not supported")) &&
               split_white(render, self, most, list);
    if (by->length == 0)
        return render_fail(render, "empty separator");
    int64_t total = 0;
    for (size_t at = 0; from_right && at + by->length <= self->length;) {
        bool found = memcmp(self->data + at, by->data, by->length) == 0;
        total += found;
        at += found ? by->length : 1;
    }
    int64_t skip = from_right && most >= 0 && total > most ? total - most : 0; /* that stay in the first part */
    size_t start = 0, from = 0;
    while (most != 0 || from_right) {
        const char *found =
            from > self->length ? NULL : memmem(self->data + from, self->length - from, by->data, by->length);
        if (found == NULL)
            break;
        size_t at = (size_t)(found - self->data);
        from = at + by->length;
        if (skip > 0) {
            skip--;
            continue;
        }
        if (!add_slice(render, list, self, start, at))
            return false;
        start = from;
        most -= most > 0 && !from_right;
    }
    return add_slice(render, list, self, start, self->length);
}

bool text_split(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return split(render, self, arguments, false, ret_value);
}

bool text_rsplit(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    return split(render, self, arguments, true, ret_value);
}

bool text_splitlines(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    const struct value *keep = argument(arguments, 0, "keepends");
    struct list *list = list_new(render, LIST_LIST, 0);
    if (list == NULL)
        return false;
    for (size_t start = 0, at = 0; start < self->length; start = at) {
        at = start;
        while (at < self->length && self->data[at] != '\n' && self->data[at] != '\r')
            at++;
        size_t end = at;
        if (at < self->length)
            at += self->data[at] == '\r' && at + 1 < self->length && self->data[at + 1] == '\n' ? 2 : 1;
        if (!add_slice(render, list, self, start, keep != NULL && value_truth(*keep) ? at : end))
            return false;
    }
    *ret_value = value_list(list);
    return true;
}

enum { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_FIRST };

static bool change_case(struct render *render, const struct text *self, int how, struct value *ret_value)
{
    struct builder builder = {.render = render};
    const struct text *text;
    bool in_word = false;
    for (size_t i = 0, size; i < self->length; i += size) {
        uint32_t code;
        char bytes[8];
        size = char_at(self, i, &code);
        bool up = how == CASE_UPPER || (how == CASE_TITLE && !in_word) || (how == CASE_FIRST && i == 0);
        utf8proc_int32_t from = (utf8proc_int32_t)code;
        utf8proc_int32_t changed = !up                 ? utf8proc_tolower(from)
                                   : how == CASE_UPPER ? utf8proc_toupper(from)
                                                       : utf8proc_totitle(from);
        utf8proc_category_t category = utf8proc_category(from);
        in_word = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
        size_t length = utf8_encode((uint32_t)changed, bytes);
        if (code == 0xDF && up) { /* the sharp s has no capital of its own */
            memcpy(bytes, how == CASE_UPPER ? "SS" : "Ss", 2);
            length = 2;
        }
        if (!builder_put(&builder, bytes, length, self->marks != NULL ? self->marks[i] != 0 : self->plain))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

bool text_upper(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return change_case(render, self, CASE_UPPER, ret_value);
}

bool text_lower(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return change_case(render, self, CASE_LOWER, ret_value);
}

bool text_title(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return change_case(render, self, CASE_TITLE, ret_value);
}

bool text_capitalize(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    (void)arguments;
    return change_case(render, self, CASE_FIRST, ret_value);
}

/* Every `from`, or at each character where it is empty. */
static bool replace_into(
    struct builder *builder, const struct text *self, const struct text *from, const struct text *to, int64_t most)
{
    size_t at = 0;
    while (most != 0) {
        const char *found =
            from->length == 0 ? self->data + at : memmem(self->data + at, self->length - at, from->data, from->length);
        if (found == NULL)
            break;
        size_t start = (size_t)(found - self->data), next = start + from->length;
        if (!builder_put_text(builder, self, at, start) || !builder_put_text(builder, to, 0, to->length) ||
            !render_step(builder->render, 1))
            return false;
        at = next;
        most -= most > 0;
        if (from->length == 0) {
            uint32_t code;
            if (at >= self->length)
                break;
            next = at + char_at(self, at, &code);
            if (!builder_put_text(builder, self, at, next))
                return false;
            at = next;
        }
    }
    return at >= self->length || builder_put_text(builder, self, at, self->length);
}

bool text_replace(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    const struct text *from = NULL, *to = NULL, *text;
    int64_t most = -1;
    if (!argument_text(render, arguments, 0, "old", &from) || !argument_text(render, arguments, 1, "new", &to) ||
        !argument_int(render, arguments, 2, "count", &most))
        return false;
    if (from == NULL || to == NULL)
        return render_fail(render, "replace needs two strings");
    struct builder builder = {.render = render};
    if (!replace_into(&builder, self, from, to, most) || !builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

bool text_join_list(
    struct render *render, const struct text *separator, const struct list *list, struct value *ret_value)
{
    struct builder builder = {.render = render};
    const struct text *text;
    for (size_t i = 0; i < list->count; i++) {
        if (!value_to_text(render, list->items[i], &text) ||
            (i > 0 && !builder_put_text(&builder, separator, 0, separator->length)) ||
            !builder_put_text(&builder, text, 0, text->length))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

/* {} and {0} and {name} and {{, without formats of their own. */
bool text_format(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    struct builder builder = {.render = render};
    const struct text *text;
    size_t next = 0;
    for (size_t i = 0; i < self->length; i++) {
        char c = self->data[i];
        bool twin = i + 1 < self->length && self->data[i + 1] == c;
        if ((c != '{' && c != '}') || twin) {
            if (!builder_put_text(&builder, self, i, i + 1))
                return false;
            i += (c == '{' || c == '}') && twin;
            continue;
        }
        const char *end = c == '{' ? memchr(self->data + i, '}', self->length - i) : NULL;
        struct value key;
        if (end == NULL)
            return render_fail(render, "Single '%c' encountered in format string", c);
        size_t stop = (size_t)(end - self->data), place = next;
        bool digits = stop > i + 1;
        for (size_t k = i + 1; k < stop; k++)
            digits = digits && self->data[k] >= '0' && self->data[k] <= '9' && stop - i < 8;
        if (digits) {
            place = 0;
            for (size_t k = i + 1; k < stop; k++)
                place = place * 10 + (size_t)(self->data[k] - '0');
        }
        if (!make_text(render, self->data + i + 1, stop - i - 1, false, &key))
            return false;
        bool named = !digits && stop > i + 1;
        const struct value *value = argument(arguments, named ? SIZE_MAX : place, named ? key.text->data : "");
        if (value == NULL)
            return render_fail(render, "format has no argument '%.64s'", key.text->data);
        next += stop == i + 1;
        if (!value_to_text(render, *value, &text) || !builder_put_text(&builder, text, 0, text->length))
            return false;
        i = stop;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}

bool text_center(
    struct render *render, const struct text *self, const struct arguments *arguments, struct value *ret_value)
{
    int64_t width = 80, have = (int64_t)text_chars(self);
    struct builder builder = {.render = render};
    const struct text *text;
    if (!argument_int(render, arguments, 0, "width", &width))
        return false;
    int64_t pad = width > have ? width - have : 0, left = pad / 2 + (pad & width & 1);
    for (int64_t i = 0; i <= pad; i++) {
        if (i == left && !builder_put_text(&builder, self, 0, self->length))
            return false;
        if (i < pad && !builder_put(&builder, " ", 1, false))
            return false;
    }
    if (!builder_text(&builder, &text))
        return false;
    *ret_value = value_text(text);
    return true;
}
