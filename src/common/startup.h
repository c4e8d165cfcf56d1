/*
 * startup.h - what bioxend and the jailer do first: take the descriptors they were started with, and close all others.
 */
#ifndef BX_COMMON_STARTUP_H
#define BX_COMMON_STARTUP_H

#include <sys/types.h>

/*
 * Reads "OPTION N" pairs: argv must hold exactly `count` of them, in the order of options[]. Each N must be the open
 * descriptor 3 + its index: then everything above is closed, and no signal is blocked any more. Returns 0 or -EINVAL.
 */
int startup_fds(int argc, char **argv, const char *const *options, unsigned count, int *fds);

/*
 * The user id that belongs to a process alone while it lives: 0x70000000 + its pid. That range is above those that
 * distributions, systemd and subuid hand out, and below 2^31, where old programs see negative numbers. A
 * pid is at most 2^22.
 */
uid_t startup_private_uid(pid_t pid);

#endif
