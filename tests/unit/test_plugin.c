/* Which files may be opened as plugins. A copy of this very program stands for a shared object: it is one by its
 * header. */
#include "config.h"

#include "core/worker/plugin.h"

#include "check_main.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64], folder[128], path[160];
static struct buffer program;

static void setup(void)
{
    pdk_error err;
    snprintf(top, sizeof top, "/tmp/paddock-plugin-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(folder, sizeof folder, "%s/runtimes", top);
    snprintf(path, sizeof path, "%s/x.so", folder);
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    ck_assert_int_eq(file_read("/proc/self/exe", 64 << 20, &program, &err), PDK_OK);
    ck_assert_int_eq(file_replace(path, program.data, program.length, 0644, &err), PDK_OK);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
    rmdir(top);
    buffer_done(&program);
}

static void expect(pdk_status wanted, const char *message)
{
    pdk_error err = {0};
    ck_assert_msg(plugin_check(path, folder, &err) == wanted, "%d: %s", err.status, err.message);
    if (wanted != PDK_OK)
        ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
    ck_assert_ptr_null(strchr(err.message, '\n'));
}

START_TEST(test_good)
{
    expect(PDK_OK, "");
    chmod(path, 0400);
    expect(PDK_OK, "");
}
END_TEST

START_TEST(test_file_modes)
{
    chmod(path, 0666);
    expect(PDK_DENIED, "x.so is refused: it can be written by others");
    chmod(path, 0664); /* by its own group is fine */
    expect(PDK_OK, "");
    if (chown(path, (uid_t)-1, 54321) == 0) {
        chmod(path, 0664);
        expect(PDK_DENIED, "x.so is refused: it can be written by a group");
    }
}
END_TEST

START_TEST(test_folder_modes)
{
    char message[256];
    chmod(folder, 0777);
    snprintf(message, sizeof message, "is refused: folder %s can be written by others", folder);
    expect(PDK_DENIED, message);
    chmod(folder, 0755);
    chmod(top, 0722);
    snprintf(message, sizeof message, "is refused: folder %s can be written by others", top);
    expect(PDK_DENIED, message);
    chmod(top, 01777); /* as /tmp is: nobody can put another folder in ours' place */
    expect(PDK_OK, "");
    chmod(folder, 01777); /* but plugins could be added to it */
    expect(PDK_DENIED, "can be written by others");
}
END_TEST

START_TEST(test_places)
{
    pdk_error err;
    char other[PATH_MAX];
    snprintf(other, sizeof other, "%s/elsewhere", top);
    ck_assert_int_eq(plugin_check(path, other, &err), PDK_DENIED);
    ck_assert_ptr_nonnull(strstr(err.message, "x.so is refused: not in the plugin folder"));
    snprintf(other, sizeof other, "%s/run", top); /* a name that begins alike is another folder */
    ck_assert_int_eq(plugin_check(path, other, &err), PDK_DENIED);
    snprintf(other, sizeof other, "%s/", folder);
    ck_assert_int_eq(plugin_check(path, other, &err), PDK_OK);
    snprintf(other, sizeof other, "%s/../runtimes/x.so", folder);
    ck_assert_int_eq(plugin_check(other, folder, &err), PDK_DENIED);
    ck_assert_int_eq(plugin_check("x.so", folder, &err), PDK_INVALID);
    snprintf(other, sizeof other, "%s/none.so", folder);
    ck_assert_int_eq(plugin_check(other, folder, &err), PDK_NOT_FOUND);
    ck_assert_int_eq(plugin_check(folder, NULL, &err), PDK_DENIED);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
}
END_TEST

static const struct {
    const char *name, *message;
    size_t length; /* of the file; 0: whole */
    size_t at;     /* a byte to change */
    unsigned char byte;
} faults[] = {
    {"one byte", "it is not an ELF file", 1, 0, 0x7F},
    {"magic", "it is not an ELF file", 0, 1, 'F'},
    {"32 bits", "it is built for another machine", 0, 4, 1},
    {"big endian", "it is built for another machine", 0, 5, 2},
    {"machine", "it is built for another machine", 0, 18, 8},
    {"object file", "it is not a shared object", 0, 16, 1},
    {"no segments", "it is not a shared object", 0, 56, 0},
    {"table outside", "it is cut short", 0, 38, 0xFF},
    {"header only", "it is cut short", 64, 0, 0x7F},
    {"half a page", "it is cut short", 2048, 0, 0x7F},
};

START_TEST(test_elf)
{
    pdk_error err;
    size_t length = faults[_i].length != 0 ? faults[_i].length : program.length;
    program.data[faults[_i].at] = (char)faults[_i].byte;
    ck_assert_int_eq(file_replace(path, program.data, length, 0644, &err), PDK_OK);
    expect(PDK_INVALID, faults[_i].message);
}
END_TEST

START_TEST(test_empty)
{
    ck_assert_int_eq(truncate(path, 0), 0);
    expect(PDK_INVALID, "x.so is no plugin: it is not an ELF file");
}
END_TEST

START_TEST(test_link)
{
    char other[160], real[200];
    snprintf(other, sizeof other, "%s/open", top);
    snprintf(real, sizeof real, "%s/y.so", other);
    ck_assert_int_eq(mkdir(other, 0755), 0);
    ck_assert_int_eq(rename(path, real), 0);
    ck_assert_int_eq(symlink(real, path), 0);
    expect(PDK_OK, "");
    chmod(other, 0777);
    expect(PDK_DENIED, "open can be written by others");
    chmod(other, 0755);
    chmod(real, 0646);
    expect(PDK_DENIED, "y.so is refused: it can be written by others");
    unlink(real);
    expect(PDK_NOT_FOUND, "cannot find plugin");
    rmdir(other);
}
END_TEST

START_TEST(test_fifo)
{
    /* Must not hang on open. */
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0644), 0);
    expect(PDK_DENIED, "not a regular file");
}
END_TEST

static int refusals;

static void count_refusal(const pdk_error *err)
{
    ck_assert(err->message[0] != '\0');
    refusals++;
}

START_TEST(test_compute_folder)
{
    pdk_error err;
    const pdk_compute *compute = NULL;
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(plugin_open_compute(folder, NULL, count_refusal, &compute, &err), PDK_NOT_FOUND);
    ck_assert_int_eq(refusals, 1);
    ck_assert_ptr_nonnull(strstr(err.message, "no compute plugin in "));
    ck_assert_int_eq(plugin_open_compute(folder, "cuda", count_refusal, &compute, &err), PDK_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "no compute plugin named cuda in "));
    ck_assert_str_eq(err.field, "PADDOCK_COMPUTE");
    ck_assert_int_eq(plugin_open_compute("/nowhere", NULL, count_refusal, &compute, &err), PDK_NOT_FOUND);
    ck_assert_ptr_null(compute);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plugin");
    TCase *tcase = tcase_create("plugin");
    umask(022);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_good);
    tcase_add_test(tcase, test_file_modes);
    tcase_add_test(tcase, test_folder_modes);
    tcase_add_test(tcase, test_places);
    tcase_add_loop_test(tcase, test_elf, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(tcase, test_empty);
    tcase_add_test(tcase, test_link);
    tcase_add_test(tcase, test_fifo);
    tcase_add_test(tcase, test_compute_folder);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
