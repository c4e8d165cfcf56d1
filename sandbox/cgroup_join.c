/*
 * cgroup_join.c - the child's side: it joins its v1 groups by itself, and then takes them for the root of its
 * view.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "internal.h"

int sb_step_cgroup(struct sb_child *child)
{
    for (int i = 0; i < SB_CONTROLLERS; i++) {
        int fd = child->group->join[i];
        if (fd >= 0 && write(fd, "0", 1) != 1)
            return -errno;
    }
    return 0;
}

int sb_step_cgroup_namespace(struct sb_child *child)
{
    (void)child; /* made after joining, so that its root is the jail's own group */
    return unshare(CLONE_NEWCGROUP) == 0 ? 0 : -errno;
}
