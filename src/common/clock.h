/* clock.h - CLOCK_MONOTONIC as one number; a deadline is such a number. And the time of day. */
#ifndef BX_COMMON_CLOCK_H
#define BX_COMMON_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t bx_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The time of day, for people: it may jump. */
static inline uint64_t bx_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Milliseconds until then, rounded up, for poll: 0 when it is over. */
static inline int bx_ms_until(uint64_t deadline_us)
{
    uint64_t now = bx_now_us();
    uint64_t left = deadline_us > now ? (deadline_us - now + 999) / 1000 : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}

#endif
