/*
 * lock.h - what a process does to itself to become harmless: the syscall filter, the loss of every
 * privilege, and the check that its parent's promises hold.
 *
 * lock.c (filter, verify) needs libc only, so that the VM links nothing else; drop.c needs libcap and is for
 * programs that start with privileges and must not keep them. Nothing here logs; only
 * sb_lock_die exits.
 */
#ifndef SB_LOCK_H
#define SB_LOCK_H

#include <stddef.h>
#include <sys/types.h>

/* The allowlists of profiles.def. */
enum sb_filter {
    SB_FILTER_RESTRICTED = 0,   /* a VM with the safe library */
    SB_FILTER_FULL = 1,         /* a VM with the whole standard library */
    SB_FILTER_ORCHESTRATOR = 2, /* the daemon, after its start */
    SB_FILTER_RESTRICTED_NETWORKED = 3, /* the first two, with sockets of IPv4 */
    SB_FILTER_FULL_NETWORKED = 4,
};

/*
 * Installs a filter for the calling process. It cannot be undone. What is not allowed afterwards answers
 * EPERM (or ENOSYS, where libc then falls back); what nobody calls by accident raises SIGSYS, with si_syscall
 * set; a wrong architecture or the x32 table kills. no_new_privs must be set before, and the process should
 * have one thread. Returns 0 or -errno.
 */
int sb_lock_filter(enum sb_filter filter);

/* The raw program, for tests and `doctor`: a constant array of struct sock_filter, and its length. */
const void *sb_lock_program(enum sb_filter filter, unsigned *count);

/*
 * Dies by SIGSYS, whatever the signal dispositions are: for the end of a SIGSYS handler, once the filter is
 * on. (A process that is pid 1 of its namespace cannot end itself with a signal that it raises.)
 */
void sb_lock_die(void) __attribute__((noreturn));

/*
 * For a process in its jail, before it reads anything of a stranger's: is the parent-death signal SIGKILL, is
 * no_new_privs set, and is every capability set empty? Returns 0, or -EPERM with a reason in `why`.
 */
int sb_lock_verify(char *why, size_t size);

/*
 * For a program that was started with privileges: empties the supplementary groups, becomes uid and gid
 * (real, effective, saved), gives up every capability in all five sets, locks the secure bits and sets
 * no_new_privs. Then it reads all of that back. Without the privilege to change ids, uid and gid must be the
 * present ones; the rest is done all the same. The parent-death signal is lost by this: set it afterwards.
 * Returns 0 or -errno with a reason in `why`.
 */
int sb_lock_drop(uid_t uid, gid_t gid, char *why, size_t size);

#endif
