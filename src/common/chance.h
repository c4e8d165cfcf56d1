/* chance.h - a number that nobody can tell beforehand; not for secrets. */
#ifndef BX_COMMON_CHANCE_H
#define BX_COMMON_CHANCE_H

#include <stdint.h>

/* Any number, all of them equally probable. Never waits. */
uint32_t bx_chance(void);

#endif
