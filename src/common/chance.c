/* chance.c - the kernel's random numbers, without waiting for them. */
#include "chance.h"

#include <sys/random.h>

#include "clock.h"

uint32_t bx_chance(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint32_t)bx_now_us() * 2654435761u; /* too early in the machine's life: the clock spreads, too */
    return random;
}
