/* core/control/reconcile.c: single decisions by table, then long random histories against a model of workers. */
#include "config.h"

#include "core/control/reconcile.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

static const struct reconcile_deadlines deadlines = {
    .load_ms = 10000, .ping_ms = 6000, .step_ms = 60000, .drain_ms = 30000};

enum { NOW = 1000000 };

static const struct {
    const char *what;
    struct service_state state;
    struct action expected[4];
    size_t count;
    int64_t wake; /* 0: not looked at */
} cases[] = {
    {"nothing there, one wanted", {.wanted = true, .revision = 1}, {{ACTION_SPAWN, REASON_WANTED, 0}}, 1, 0},
    {"in backoff", {.wanted = true, .revision = 1, .crashes = 2, .retry_at_ms = NOW + 200}, {{0}}, 0, NOW + 200},
    {"refused: never", {.wanted = true, .revision = 1, .retry_at_ms = INT64_MAX}, {{0}}, 0, INT64_MAX},
    {"loading, with progress",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_LOADING, .progress_ms = NOW - 9999}}},
        {{0}}, 0, NOW + 1},
    {"loading, stalled",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_LOADING, .progress_ms = NOW - 10000}}},
        {{ACTION_KILL, REASON_LOAD_STALLED, 7}}, 1, 0},
    {"ready, to be pinged",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW - PING_EVERY_MS}}},
        {{ACTION_PING, REASON_WANTED, 7}}, 1, 0},
    {"ready, no pong in time",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7,
                .revision = 1,
                .phase = REPLICA_READY,
                .pinged_ms = NOW - 6000,
                .unanswered_ms = NOW - 6000}}},
        {{ACTION_KILL, REASON_NO_PONG, 7}}, 1, 0},
    {"ready, idle for long",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW, .step_ms = 5}}},
        {{0}}, 0, NOW + PING_EVERY_MS},
    {"ready, busy without a step",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7,
                .revision = 1,
                .phase = REPLICA_READY,
                .pinged_ms = NOW,
                .step_ms = NOW - 60000,
                .in_flight = 1}}},
        {{ACTION_KILL, REASON_NO_STEP, 7}}, 1, 0},
    {"ready, channel gone",
        {.wanted = true,
            .revision = 1,
            .count = 1,
            .replicas =
                {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW, .closed_ms = NOW - EXIT_GRACE_MS}}},
        {{ACTION_KILL, REASON_CHANNEL_LOST, 7}}, 1, 0},
    {"a new revision: the old one stays while the new one loads",
        {.wanted = true,
            .revision = 2,
            .count = 2,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW},
                {.id = 8, .revision = 2, .phase = REPLICA_LOADING, .progress_ms = NOW}}},
        {{0}}, 0, 0},
    {"a new revision: the old one drains once the new one is ready",
        {.wanted = true,
            .revision = 2,
            .count = 2,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW},
                {.id = 8, .revision = 2, .phase = REPLICA_READY, .pinged_ms = NOW}}},
        {{ACTION_DRAIN, REASON_REPLACED, 7}}, 1, 0},
    {"a new revision while the old one still loads",
        {.wanted = true,
            .revision = 2,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_LOADING, .progress_ms = NOW}}},
        {{ACTION_TERMINATE, REASON_SUPERSEDED, 7}, {ACTION_SPAWN, REASON_WANTED, 0}}, 2, 0},
    {"removed",
        {.wanted = false,
            .revision = 1,
            .count = 1,
            .replicas = {{.id = 7, .revision = 1, .phase = REPLICA_READY, .pinged_ms = NOW}}},
        {{ACTION_DRAIN, REASON_REMOVED, 7}}, 1, 0},
    {"drained for too long",
        {.wanted = false, .count = 1, .replicas = {{.id = 7, .phase = REPLICA_DRAINING, .phase_ms = NOW - 30000}}},
        {{ACTION_TERMINATE, REASON_DRAIN_OVER, 7}}, 1, 0},
    {"deaf to SIGTERM",
        {.wanted = false,
            .count = 1,
            .replicas = {{.id = 7, .phase = REPLICA_TERMINATING, .phase_ms = NOW - TERM_GRACE_MS}}},
        {{ACTION_KILL, REASON_TERM_OVER, 7}}, 1, 0},
};

START_TEST(decides)
{
    struct action actions[ACTIONS_MAX];
    int64_t wake;
    size_t count = reconcile(&cases[_i].state, &deadlines, NOW, actions, &wake);
    ck_assert_msg(count == cases[_i].count, "%s: %zu actions", cases[_i].what, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(actions[i].kind == cases[_i].expected[i].kind &&
                          actions[i].reason == cases[_i].expected[i].reason &&
                          actions[i].replica == cases[_i].expected[i].replica,
            "%s: action %zu", cases[_i].what, i);
    if (cases[_i].wake != 0)
        ck_assert_msg(wake == cases[_i].wake, "%s: wakes at %+lld", cases[_i].what, (long long)(wake - NOW));
}
END_TEST

START_TEST(backoff_doubles_and_is_forgotten)
{
    static const int64_t expected[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000};
    for (uint32_t i = 0; i < 13; i++)
        ck_assert_int_eq(reconcile_backoff_ms(i), expected[i]);
    ck_assert_int_eq(reconcile_backoff_ms(UINT32_MAX), 60000);
    struct service_state state = {.crashes = 7};
    reconcile_crashed(&state, HEALTHY_MS - 1, NOW);
    ck_assert_uint_eq(state.crashes, 8);
    ck_assert_int_eq(state.retry_at_ms, NOW + 12800);
    reconcile_crashed(&state, HEALTHY_MS, NOW);
    ck_assert_uint_eq(state.crashes, 1);
    ck_assert_int_eq(state.retry_at_ms, NOW + 100);
}
END_TEST

/* ---- random histories */

static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % sides;
}

struct world {
    struct service_state state;
    int64_t now;
    uint32_t next_id;
    int64_t ready_at[REPLICAS_MAX]; /* when a load ends; by index of the replica */
    bool hung[REPLICAS_MAX];
    bool gone[REPLICAS_MAX];
};

static void remove_at(struct world *w, size_t index)
{
    size_t last = --w->state.count;
    w->state.replicas[index] = w->state.replicas[last];
    w->ready_at[index] = w->ready_at[last];
    w->hung[index] = w->hung[last];
    w->gone[index] = w->gone[last];
}

static void carry_out(struct world *w, const struct action *action)
{
    if (action->kind == ACTION_SPAWN) {
        size_t index = w->state.count++;
        ck_assert_uint_lt(index, REPLICAS_MAX);
        w->state.replicas[index] = (struct replica_view){.id = ++w->next_id,
            .revision = w->state.revision,
            .phase = REPLICA_LOADING,
            .phase_ms = w->now,
            .progress_ms = w->now};
        w->ready_at[index] = w->now + 50 + dice(3000);
        w->hung[index] = dice(20) == 0;
        w->gone[index] = false;
        return;
    }
    for (size_t i = 0; i < w->state.count; i++) {
        struct replica_view *r = &w->state.replicas[i];
        if (r->id != action->replica)
            continue;
        switch (action->kind) {
        case ACTION_PING:
            r->pinged_ms = w->now;
            r->unanswered_ms = w->hung[i] ? w->now : 0;
            break;
        case ACTION_DRAIN: r->phase = REPLICA_DRAINING; break;
        case ACTION_TERMINATE: r->phase = REPLICA_TERMINATING; break;
        default: r->phase = REPLICA_KILLED; break;
        }
        if (action->kind != ACTION_PING)
            r->phase_ms = w->now;
        w->gone[i] = r->phase == REPLICA_KILLED || (r->phase >= REPLICA_DRAINING && !w->hung[i]);
        return;
    }
    ck_abort_msg("action for a replica that is not there");
}

static void let_things_happen(struct world *w)
{
    for (size_t i = 0; i < w->state.count;) {
        struct replica_view *r = &w->state.replicas[i];
        bool live = r->phase == REPLICA_LOADING || r->phase == REPLICA_READY;
        bool crash = live && dice(200) == 0;
        if (w->gone[i] || crash) {
            if (crash && r->revision == w->state.revision && w->state.wanted)
                reconcile_crashed(&w->state, 0, w->now);
            else if (live || r->phase == REPLICA_KILLED)
                w->state.retry_at_ms = w->state.retry_at_ms > w->now ? w->state.retry_at_ms : w->now;
            remove_at(w, i);
            continue;
        }
        if (r->phase == REPLICA_LOADING && !w->hung[i] && w->now >= w->ready_at[i]) {
            r->phase = REPLICA_READY;
            r->phase_ms = r->pinged_ms = w->now;
        }
        if (r->phase == REPLICA_READY && dice(500) == 0)
            w->hung[i] = true;
        i++;
    }
    if (dice(300) == 0) {
        w->state.revision++;
        w->state.crashes = 0;
        w->state.retry_at_ms = w->now;
    }
    if (dice(1000) == 0)
        w->state.wanted = !w->state.wanted;
}

/* At most one live replica of the wanted revision; nothing of an old one that is never asked to go; no action twice. */
static void check_invariants(const struct world *w)
{
    size_t current = 0;
    for (size_t i = 0; i < w->state.count; i++)
        current += w->state.replicas[i].revision == w->state.revision && w->state.replicas[i].phase <= REPLICA_READY;
    ck_assert_uint_le(current, 1);
    const struct replica_view *serving = reconcile_serving(&w->state);
    for (size_t i = 0; serving != NULL && i < w->state.count; i++)
        if (w->state.replicas[i].revision == w->state.revision && w->state.replicas[i].phase == REPLICA_READY)
            ck_assert_uint_eq(serving->revision, w->state.revision);
}

START_TEST(random_histories_settle)
{
    dice_state = (uint64_t)_i * 2654435761u + 1;
    struct world w = {.state = {.wanted = true, .revision = 1}, .now = NOW};
    for (int step = 0; step < 3000; step++) {
        struct action actions[ACTIONS_MAX];
        int64_t wake;
        size_t count = reconcile(&w.state, &deadlines, w.now, actions, &wake);
        ck_assert(wake > w.now || count > 0);
        for (size_t i = 0; i < count; i++)
            carry_out(&w, &actions[i]);
        check_invariants(&w);
        let_things_happen(&w);
        w.now += 1 + dice(500);
    }
    /* Left alone, with no more crashes, it comes to one ready replica of the wanted revision and nothing else. */
    w.state.wanted = true;
    for (int step = 0; step < 3000; step++) {
        struct action actions[ACTIONS_MAX];
        int64_t wake;
        size_t count = reconcile(&w.state, &deadlines, w.now, actions, &wake);
        for (size_t i = 0; i < count; i++)
            carry_out(&w, &actions[i]);
        for (size_t i = 0; i < w.state.count;) {
            struct replica_view *r = &w.state.replicas[i];
            if (w.gone[i]) {
                remove_at(&w, i);
                continue;
            }
            if (r->unanswered_ms == 0 && r->phase <= REPLICA_READY && !w.hung[i] && r->phase == REPLICA_LOADING) {
                r->phase = REPLICA_READY;
                r->pinged_ms = w.now;
            }
            i++;
        }
        if (w.state.count == 1)
            w.hung[0] = w.hung[0] && w.state.replicas[0].unanswered_ms != 0;
        w.now += 500;
    }
    ck_assert_uint_eq(w.state.count, 1);
    ck_assert_uint_eq(w.state.replicas[0].revision, w.state.revision);
    ck_assert_int_eq(w.state.replicas[0].phase, REPLICA_READY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reconcile");
    TCase *tests = tcase_create("reconcile");
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, decides, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, backoff_doubles_and_is_forgotten);
    tcase_add_loop_test(tests, random_histories_settle, 0, 8);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
