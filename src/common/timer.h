/*
 * timer.h - one moment to wake up at: a timerfd in the loop, made when there is a first one to wait for.
 */
#ifndef BX_COMMON_TIMER_H
#define BX_COMMON_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

#define BX_TIMER_NEVER UINT64_MAX

/*
 * on_ready is called at due_us (CLOCK_MONOTONIC; at once when that is over), once, in place of what was set before.
 * Returns 0 or -errno. bx_loop_close ends it.
 */
int bx_timer_set(struct bx_loop *loop, struct bx_source *source, uint64_t due_us);

/* For on_ready: false when the timer was set anew meanwhile. */
bool bx_timer_is_due(const struct bx_source *source);

#endif
