/* plugins/cpu/team.c: every item of every region runs once, regions in order, on few threads and many. */
#include "config.h"

#include "plugins/cpu/team.h"

#include "check_main.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { REGIONS = 60, ITEMS_MAX = 300 };

struct job {
    uint32_t region; /* regions opened so far */
    uint32_t items[REGIONS];
    _Atomic uint32_t runs[REGIONS][ITEMS_MAX];
    uint32_t plain[ITEMS_MAX]; /* written by one region, read by the next: an order that is missing is a race */
};

static bool next_region(void *context, unsigned thread, struct team_region *ret_region)
{
    struct job *job = context;
    (void)thread;
    for (uint32_t r = 0; r < job->region; r++)
        for (uint32_t i = 0; i < job->items[r]; i++)
            if (job->runs[r][i] != 1)
                ck_abort_msg("item %u of region %u ran %u times", i, r, job->runs[r][i]);
    if (job->region == REGIONS)
        return false;
    uint32_t items = 1 + job->region * 7 % ITEMS_MAX;
    job->items[job->region++] = items;
    *ret_region = (struct team_region){.items = items, .grain = 1 + job->region % 3};
    return true;
}

static void run_items(void *context, uint32_t first, uint32_t last, unsigned thread)
{
    struct job *job = context;
    (void)thread;
    uint32_t region = job->region - 1;
    for (uint32_t i = first; i < last; i++) {
        atomic_fetch_add_explicit(&job->runs[region][i], 1, memory_order_relaxed);
        job->plain[i] += region;
    }
}

START_TEST(each_item_runs_once)
{
    static const unsigned sizes[] = {1, 2, 3, 7};
    struct team *team = team_new(sizes[_i]);
    struct job *job = calloc(1, sizeof *job);
    for (int round = 0; round < 10; round++) {
        memset(job, 0, sizeof *job);
        struct team_step step = {.context = job, .next = next_region, .run = run_items};
        ck_assert_int_eq(team_start(team, &step, NULL), PDK_OK);
        team_finish(team);
        ck_assert_uint_eq(job->region, REGIONS);
        for (uint32_t i = 0; i < ITEMS_MAX; i++) {
            uint32_t expected = 0;
            for (uint32_t r = 0; r < REGIONS; r++)
                expected += i < job->items[r] ? r : 0;
            if (job->plain[i] != expected)
                ck_abort_msg("item %u is %u, not %u", i, job->plain[i], expected);
        }
    }
    free(job);
    team_free(team);
}
END_TEST

static bool no_region(void *context, unsigned thread, struct team_region *ret_region)
{
    (void)context;
    (void)thread;
    (void)ret_region;
    return false;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(an_idle_team_sleeps)
{
    struct team *team = team_new(4);
    struct team_step step = {.next = no_region, .run = run_items};
    ck_assert_int_eq(team_start(team, &step, NULL), PDK_OK);
    team_finish(team);
    double before = cpu_seconds();
    struct timespec pause = {.tv_nsec = 300000000};
    nanosleep(&pause, NULL);
    ck_assert_double_lt(cpu_seconds() - before, 0.01);
    team_free(team);
}
END_TEST

START_TEST(sizes_that_cannot_be)
{
    ck_assert_ptr_null(team_new(0));
    ck_assert_ptr_null(team_new(TEAM_THREADS_MAX + 1));
    ck_assert_ptr_null(team_free(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("team");
    TCase *tests = tcase_create("team");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_item_runs_once, 0, 4);
    tcase_add_test(tests, an_idle_team_sleeps);
    tcase_add_test(tests, sizes_that_cannot_be);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
