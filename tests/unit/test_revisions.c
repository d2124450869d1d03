/* core/control/revisions.c */
#include "config.h"

#include "core/control/revisions.h"

#include "core/base/file.h"
#include "core/base/log.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[128], aside[160];

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/paddock-revisions.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/services.json", folder);
    snprintf(aside, sizeof aside, "%s.corrupt", path);
    log_open("test", LOG_LEVEL_ERROR);
}

static void tear_down(void)
{
    unlink(path);
    unlink(aside);
    rmdir(folder);
}

START_TEST(numbers_rise_with_what_changed_and_survive)
{
    struct revisions revisions = {0}, again = {0};
    const struct revision_row *row;
    ck_assert_int_eq(revisions_read(&revisions, path, NULL), PDK_OK); /* no file: empty */
    ck_assert_int_eq(revisions_note(&revisions, "default/a", 1, 1, 100, &row, NULL), PDK_OK);
    ck_assert(row->generation == 1 && row->revision == 1 && row->created == 100);
    ck_assert_int_eq(revisions_note(&revisions, "default/b", 1, 1, 100, &row, NULL), PDK_OK);
    revisions_prune(&revisions);
    ck_assert_int_eq(revisions_note(&revisions, "default/a", 2, 1, 200, &row, NULL), PDK_OK);
    ck_assert(row->generation == 2 && row->revision == 1 && row->created == 100);
    ck_assert_int_eq(revisions_note(&revisions, "default/a", 3, 0xFFFFFFFFFFFFFFFF, 200, &row, NULL), PDK_OK);
    ck_assert(row->generation == 3 && row->revision == 2);
    revisions_prune(&revisions); /* b was not seen */
    ck_assert_uint_eq(revisions.count, 1);
    ck_assert_int_eq(revisions_write(&revisions, path, NULL), PDK_OK);
    ck_assert_int_eq(revisions_read(&again, path, NULL), PDK_OK);
    ck_assert_uint_eq(again.count, 1);
    ck_assert_int_eq(revisions_note(&again, "default/a", 3, 0xFFFFFFFFFFFFFFFF, 300, &row, NULL), PDK_OK);
    ck_assert(row->generation == 3 && row->revision == 2 && row->created == 100);
    revisions_done(&revisions);
    revisions_done(&again);
}
END_TEST

/* Each byte once: the file loads as it was, or is set aside, and never gives another number. */
START_TEST(a_flipped_byte_is_noticed)
{
    struct revisions revisions = {0};
    const struct revision_row *row;
    struct buffer text = {0};
    revisions_note(&revisions, "default/a", 7, 9, 100, &row, NULL);
    ck_assert_int_eq(revisions_write(&revisions, path, NULL), PDK_OK);
    ck_assert_int_eq(file_read(path, 65536, &text, NULL), PDK_OK);
    for (size_t i = 0; i < text.length; i++) {
        struct revisions read = {0};
        char kept = text.data[i];
        text.data[i] ^= 1;
        ck_assert_int_eq(file_replace(path, text.data, text.length, 0600, NULL), PDK_OK);
        ck_assert_int_eq(revisions_read(&read, path, NULL), PDK_OK);
        if (read.count != 0)
            ck_assert_msg(read.rows[0].revision == 1 && read.rows[0].created == 100 && read.rows[0].spec_hash == 7,
                "byte %zu", i);
        revisions_done(&read);
        text.data[i] = kept;
    }
    buffer_done(&text);
    revisions_done(&revisions);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("revisions");
    TCase *tests = tcase_create("revisions");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, numbers_rise_with_what_changed_and_survive);
    tcase_add_test(tests, a_flipped_byte_is_noticed);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
