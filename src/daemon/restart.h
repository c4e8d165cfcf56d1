/*
 * restart.h - is a VM that has ended started again, and when? Arithmetic only: no clock, no timer, no dice.
 */
#ifndef BX_DAEMON_RESTART_H
#define BX_DAEMON_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "common/record.h"
#include "common/vm_spec.h"
#include "tally.h"

struct restart_history {
    uint32_t streak;    /* restarts since it last lived for long enough: the exponent of the next wait */
    struct tally tally; /* restarts within the window */
};

/* How it ended. */
struct restart_end {
    enum record_outcome outcome;
    uint32_t exit_code;
    uint64_t ready_us; /* how long it had been ready; 0 also when it never was */
};

enum restart_verdict {
    RESTART_ENDED,   /* it stays ended, as the policy wants it */
    RESTART_AGAIN,   /* after the wait */
    RESTART_GIVE_UP, /* it should live, and there is no sense in one more try */
};

#define RESTART_REASON_MAX 128

struct restart_decision {
    enum restart_verdict verdict;
    bool hopeless;    /* GIVE_UP: it would end in the same way each time, whoever starts it */
    uint64_t wait_us; /* AGAIN; and what it would have been for GIVE_UP that is not hopeless */
    char reason[RESTART_REASON_MAX]; /* GIVE_UP: one line, for people */
};

/*
 * Decides, and counts the restart when there is to be one. `random` is any number, all of them equally probable. A
 * VM that somebody wanted to end is not asked about.
 */
void restart_decide(const struct vm_restart *policy, struct restart_history *history, const struct restart_end *end,
                    uint64_t now_us, uint32_t random, struct restart_decision *out);

/*
 * The shortest time from the first restart to the one that is too many, of a VM that dies at once, chance on its side:
 * when that is longer than `within`, the limit is out of its reach.
 */
uint64_t restart_shortest_us(const struct vm_restart *policy);

/* As if it had never been restarted. */
void restart_forget(struct restart_history *history);

#endif
