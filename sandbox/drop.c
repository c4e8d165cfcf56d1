/*
 * drop.c - how a program that was started with privileges gives them up for good, by libcap.
 *
 * The order matters. The secure bits and the bounding set need CAP_SETPCAP, so they go first; with them
 * locked a change of the uid neither clears nor restores capabilities behind our back; the capabilities
 * themselves go last but for no_new_privs. What was done is read back: a kernel that says yes and does
 * nothing is an error.
 */
#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lock.h"

#define LOCKED_BITS (SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS))

static int refuse(char *why, size_t size, const char *what, int code)
{
    snprintf(why, size, "%s: %s", what, strerror(code));
    return -code;
}

static int have(cap_value_t wanted)
{
    cap_t caps = cap_get_proc();
    cap_flag_value_t value = CAP_CLEAR;
    if (caps != NULL)
        cap_get_flag(caps, wanted, CAP_EFFECTIVE, &value);
    cap_free(caps);
    return value == CAP_SET;
}

static int drop_bounding(char *why, size_t size)
{
    if (cap_set_secbits(LOCKED_BITS | SECURE_ALL_LOCKS) != 0)
        return refuse(why, size, "cannot lock the secure bits", errno);
    for (cap_value_t cap = 0; cap_drop_bound(cap) == 0; cap++)
        ;
    if (errno != EINVAL) /* the end of the list */
        return refuse(why, size, "cannot empty the capability bounding set", errno);
    return 0;
}

static int change_ids(uid_t uid, gid_t gid, char *why, size_t size)
{
    /*
     * Whoever keeps its ids keeps its groups too where it must: in a user namespace of one id nobody can
     * leave them.
     */
    if (have(CAP_SETGID) && setgroups(0, NULL) != 0 && uid != getuid())
        return refuse(why, size, "cannot leave the supplementary groups", errno);
    if (setresgid(gid, gid, gid) != 0)
        return refuse(why, size, "cannot change the group", errno);
    if (setresuid(uid, uid, uid) != 0)
        return refuse(why, size, "cannot change the user", errno);
    return 0;
}

static int drop_capabilities(char *why, size_t size)
{
    cap_t none = cap_init();
    if (none == NULL)
        return refuse(why, size, "cannot drop the capabilities", ENOMEM);
    /* The ambient set goes with the permitted one, of which it is a part. */
    int rc = cap_set_proc(none) == 0 ? 0 : errno;
    cap_free(none);
    return rc == 0 ? 0 : refuse(why, size, "cannot drop the capabilities", rc);
}

static int read_back(uid_t uid, gid_t gid, int privileged, char *why, size_t size)
{
    uid_t u[3];
    gid_t g[3];
    if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
        return refuse(why, size, "cannot read the ids back", errno);
    for (int i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != gid)
            return refuse(why, size, "the ids did not change", EPERM);
    cap_t caps = cap_get_proc(), none = cap_init();
    int left = caps == NULL || none == NULL || cap_compare(caps, none) != 0;
    cap_free(caps);
    cap_free(none);
    if (left || (privileged && cap_get_bound(CAP_SYS_ADMIN) != 0))
        return refuse(why, size, "a capability is left", EPERM);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return refuse(why, size, "no_new_privs is not set", EPERM);
    return 0;
}

int sb_lock_drop(uid_t uid, gid_t gid, char *why, size_t size)
{
    int privileged = have(CAP_SETPCAP);
    int rc = privileged ? drop_bounding(why, size) : 0;
    if (rc == 0)
        rc = change_ids(uid, gid, why, size);
    if (rc == 0)
        rc = drop_capabilities(why, size);
    if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        rc = refuse(why, size, "cannot set no_new_privs", errno);
    return rc != 0 ? rc : read_back(uid, gid, privileged, why, size);
}
