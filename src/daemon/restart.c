/* restart.c - outcome against policy, then the wait, then the limit, in this order. */
#include "restart.h"

#include <stdio.h>

#include "common/units.h"

static bool is_good_end(const struct restart_end *end)
{
    return end->outcome == RECORD_OK || end->outcome == RECORD_STOPPED ||
           (end->outcome == RECORD_EXIT && end->exit_code == 0);
}

static void give_up(struct restart_decision *out, const char *reason)
{
    out->verdict = RESTART_GIVE_UP;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

/* What ends in the same way however often it is tried. */
static const char *why_hopeless(enum record_outcome outcome)
{
    switch (outcome) {
    case RECORD_SYNTAX: return "its script does not compile";
    case RECORD_POLICY: return "the system call policy ended it";
    default: return NULL;
    }
}

static uint64_t next_wait(const struct vm_restart *policy, uint64_t wait_us)
{
    unsigned __int128 next = (unsigned __int128)wait_us * policy->factor_milli / 1000;
    uint64_t longest = policy->max_delay_ms * 1000;
    return next < longest ? (uint64_t)next : longest;
}

/* Without chance. */
static uint64_t nominal_wait(const struct vm_restart *policy, uint32_t streak)
{
    uint64_t longest = policy->max_delay_ms * 1000;
    uint64_t wait = policy->delay_ms * 1000 < longest ? policy->delay_ms * 1000 : longest;
    for (uint32_t i = 0; i < streak; i++) {
        uint64_t next = next_wait(policy, wait);
        if (next == wait)
            break;
        wait = next;
    }
    return wait;
}

static uint64_t share(uint64_t wait_us, uint32_t ppm)
{
    return (uint64_t)((unsigned __int128)wait_us * ppm / 1000000);
}

/* Evenly between what jitter allows: never more than the longest wait, and yet not all at the same time. */
static uint64_t choose_wait(const struct vm_restart *policy, uint32_t streak, uint32_t random)
{
    uint64_t nominal = nominal_wait(policy, streak), longest = policy->max_delay_ms * 1000;
    uint64_t spread = share(nominal, policy->jitter_ppm);
    uint64_t low = nominal - spread;
    uint64_t high = nominal + spread < longest ? nominal + spread : longest;
    return low + (uint64_t)(((unsigned __int128)(high - low) * random) >> 32);
}

static void count(const struct vm_restart *policy, struct restart_history *history, uint64_t now_us,
                  struct restart_decision *out)
{
    char within[UNITS_TEXT_MAX], reason[RESTART_REASON_MAX];
    int rc = tally_add(&history->tally, now_us + out->wait_us, policy->max, policy->within_ms * 1000);
    if (rc > 0) {
        out->verdict = RESTART_AGAIN;
        history->streak++;
        return;
    }
    units_format_time(policy->within_ms, within);
    snprintf(reason, sizeof reason, "it would be restarted more than %u times within %s", policy->max, within);
    give_up(out, rc == 0 ? reason : "no memory is left to count its restarts");
}

void restart_decide(const struct vm_restart *policy, struct restart_history *history, const struct restart_end *end,
                    uint64_t now_us, uint32_t random, struct restart_decision *out)
{
    *out = (struct restart_decision){.verdict = RESTART_ENDED};
    if (policy->policy == VM_RESTART_NEVER || (policy->policy == VM_RESTART_ON_FAILURE && is_good_end(end)))
        return;
    const char *hopeless = why_hopeless(end->outcome);
    if (hopeless != NULL) {
        out->hopeless = true;
        give_up(out, hopeless);
        return;
    }
    if (end->ready_us >= policy->reset_after_ms * 1000)
        history->streak = 0;
    out->wait_us = choose_wait(policy, history->streak, random);
    count(policy, history, now_us, out);
}

uint64_t restart_shortest_us(const struct vm_restart *policy)
{
    /* The first restart starts the clock; `max` more are one too many. */
    uint64_t wait = nominal_wait(policy, 0), total = 0;
    for (uint32_t i = 0; i < policy->max; i++) {
        uint64_t next = policy->reset_after_ms == 0 ? wait : next_wait(policy, wait);
        uint64_t least = next - share(next, policy->jitter_ppm);
        if (next == wait)
            return total + least * (policy->max - i); /* from here on all are equal */
        wait = next;
        total += least;
    }
    return total;
}

void restart_forget(struct restart_history *history)
{
    tally_fini(&history->tally);
    history->streak = 0;
}
