/* Each replica is judged by itself first (is it late with something?), then by what is wanted. */
#include "config.h"

#include "core/control/reconcile.h"

#include <assert.h>

struct plan_of_action {
    const struct service_state *state;
    const struct reconcile_deadlines *deadlines;
    int64_t now, wake;
    struct action *actions;
    size_t count;
};

static void act(struct plan_of_action *p, enum action_kind kind, enum action_reason reason, uint32_t replica)
{
    assert(p->count < ACTIONS_MAX);
    p->actions[p->count++] = (struct action){kind, reason, replica};
}

/* Whether `since` + `deadline` has passed; else it is a time to wake at. */
static bool is_late(struct plan_of_action *p, int64_t since, int64_t deadline)
{
    if (p->now - since >= deadline)
        return true;
    if (since + deadline < p->wake)
        p->wake = since + deadline;
    return false;
}

/* A worker whose channel is gone is about to end, or broke the protocol. */
static bool judge_lost(struct plan_of_action *p, const struct replica_view *r)
{
    if (is_late(p, r->closed_ms, EXIT_GRACE_MS))
        act(p, ACTION_KILL, REASON_CHANNEL_LOST, r->id);
    return false;
}

static bool judge_loading(struct plan_of_action *p, const struct replica_view *r)
{
    if (r->closed_ms != 0)
        return judge_lost(p, r);
    if (is_late(p, r->progress_ms, p->deadlines->load_ms))
        act(p, ACTION_KILL, REASON_LOAD_STALLED, r->id);
    else
        return true;
    return false;
}

static bool judge_ready(struct plan_of_action *p, const struct replica_view *r)
{
    if (r->closed_ms != 0)
        return judge_lost(p, r);
    if (r->unanswered_ms != 0 && is_late(p, r->unanswered_ms, p->deadlines->ping_ms))
        act(p, ACTION_KILL, REASON_NO_PONG, r->id);
    else if (r->in_flight != 0 && is_late(p, r->step_ms, p->deadlines->step_ms))
        act(p, ACTION_KILL, REASON_NO_STEP, r->id);
    else
        return true;
    return false;
}

/* Replicas on their way out: each stage has its time. */
static void judge_leaving(struct plan_of_action *p, const struct replica_view *r)
{
    switch (r->phase) {
    case REPLICA_DRAINING:
        if (r->closed_ms != 0 ? is_late(p, r->closed_ms, TERM_GRACE_MS)
                              : is_late(p, r->phase_ms, p->deadlines->drain_ms))
            act(p, ACTION_TERMINATE, REASON_DRAIN_OVER, r->id);
        break;
    case REPLICA_TERMINATING:
        if (is_late(p, r->phase_ms, TERM_GRACE_MS))
            act(p, ACTION_KILL, REASON_TERM_OVER, r->id);
        break;
    default: break; /* killed: the kernel will say */
    }
}

static bool is_current(const struct service_state *state, const struct replica_view *r)
{
    return state->wanted && r->revision == state->revision;
}

/* A healthy replica that is no longer wanted. The old revision stays until the new one is ready. */
static bool retire(struct plan_of_action *p, const struct replica_view *r, bool current_ready)
{
    bool ready = r->phase == REPLICA_READY;
    if (is_current(p->state, r) || (ready && p->state->wanted && !current_ready))
        return false;
    enum action_reason reason = !p->state->wanted ? REASON_REMOVED : ready ? REASON_REPLACED : REASON_SUPERSEDED;
    act(p, ready ? ACTION_DRAIN : ACTION_TERMINATE, reason, r->id);
    return true;
}

static void ping(struct plan_of_action *p, const struct replica_view *r)
{
    if (r->phase == REPLICA_READY && r->unanswered_ms == 0 && is_late(p, r->pinged_ms, PING_EVERY_MS))
        act(p, ACTION_PING, REASON_WANTED, r->id);
}

size_t reconcile(const struct service_state *state, const struct reconcile_deadlines *deadlines, int64_t now_ms,
    struct action actions[ACTIONS_MAX], int64_t *ret_wake_ms)
{
    struct plan_of_action p = {
        .state = state, .deadlines = deadlines, .now = now_ms, .wake = INT64_MAX, .actions = actions};
    bool current_there = false, current_ready = false;
    for (size_t i = 0; i < state->count; i++) {
        const struct replica_view *r = &state->replicas[i];
        if (!is_current(state, r))
            continue;
        current_there |= r->phase == REPLICA_LOADING || r->phase == REPLICA_READY;
        current_ready |= r->phase == REPLICA_READY && r->closed_ms == 0;
    }
    for (size_t i = 0; i < state->count; i++) {
        const struct replica_view *r = &state->replicas[i];
        bool live = r->phase == REPLICA_LOADING || r->phase == REPLICA_READY;
        if (!live)
            judge_leaving(&p, r);
        else if ((r->phase == REPLICA_LOADING ? judge_loading(&p, r) : judge_ready(&p, r)) &&
                 !retire(&p, r, current_ready))
            ping(&p, r);
    }
    if (state->wanted && !current_there && state->count < REPLICAS_MAX && is_late(&p, state->retry_at_ms, 0))
        act(&p, ACTION_SPAWN, REASON_WANTED, 0);
    *ret_wake_ms = p.wake;
    return p.count;
}

const struct replica_view *reconcile_serving(const struct service_state *state)
{
    const struct replica_view *best = NULL;
    for (size_t i = 0; i < state->count; i++) {
        const struct replica_view *r = &state->replicas[i];
        if (r->phase != REPLICA_READY || r->closed_ms != 0 || !state->wanted)
            continue;
        if (best == NULL || is_current(state, r) || (!is_current(state, best) && r->revision > best->revision))
            best = r;
    }
    return best;
}

int64_t reconcile_backoff_ms(uint32_t crashes)
{
    if (crashes == 0)
        return 0;
    return crashes > 10 ? 60000 : (INT64_C(100) << (crashes - 1)) > 60000 ? 60000 : INT64_C(100) << (crashes - 1);
}

void reconcile_crashed(struct service_state *state, int64_t healthy_ms, int64_t now_ms)
{
    if (healthy_ms >= HEALTHY_MS)
        state->crashes = 0;
    state->crashes++;
    state->retry_at_ms = now_ms + reconcile_backoff_ms(state->crashes);
}
