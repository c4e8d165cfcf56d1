/*
 * prepare.c - everything that the next VM needs and that does not depend on what it is: an empty root, an
 * empty network namespace, a cgroup, a janitor. Most of it is made before anybody asks.
 *
 * For the first VM two processes work side by side, because a start is what a user waits for. When that VM is
 * dead and was the only one (`bioxen run`), all is given back at once, so that the end takes no time. Whoever
 * asks for a second VM will ask for more: from then on what was made stays, and the next network namespace is
 * made ahead.
 */
#include <unistd.h>

#include "jailer.h"

int prepare_begin(struct jailer *jailer, struct sb_error *err)
{
    int rc = janitor_start(jailer, true, err); /* it makes the rest meanwhile */
    if (rc == 0)
        rc = sb_host_new_net(err);
    jailer->net_ready = rc == 0;
    return rc;
}

static int ready_janitor(struct jailer *jailer, struct sb_error *err)
{
    if (jailer->janitor.leaving)
        janitor_reap(jailer);
    if (jailer->janitor.pid > 0)
        return 0;
    int rc = janitor_start(jailer, false, err);
    if (rc != 0)
        return rc;
    rc = janitor_watch(jailer);
    if (rc != 0)
        *err = (struct sb_error){.code = -rc, .text = "the jailer cannot watch its janitor"};
    return rc;
}

static int new_net(struct jailer *jailer, struct sb_error *err)
{
    int rc = sb_host_new_net(err);
    jailer->net_ready = rc == 0;
    if (rc == 0)
        jailer->inside = NULL;
    return rc;
}

int prepare(struct jailer *jailer, bool needs_net, struct sb_error *err)
{
    int rc = ready_janitor(jailer, err);
    if (rc == 0 && !jailer->host.empty_root)
        rc = sb_host_empty_root(&jailer->host, err);
    if (rc == 0 && needs_net && !jailer->net_ready)
        rc = new_net(jailer, err);
    return rc;
}

void prepare_after_spawn(struct jailer *jailer, bool used_net)
{
    struct sb_error ignored; /* it is tried again, and told, when the next VM is asked for */
    if (used_net)
        jailer->net_ready = false; /* it is the VM's now, as well as ours until the next one is made */
    jailer->spawned++;
    if (jailer->spawned > 1) {
        if (!jailer->net_ready)
            new_net(jailer, &ignored);
        return;
    }
    sb_host_leave_root(&jailer->host);
    janitor_leave_root(jailer);
}

void prepare_after_death(struct jailer *jailer, int mount_ns)
{
    bool only_one = jailer->spawned == 1 && jailer->vm_count == 0;
    if (only_one)
        janitor_stop(jailer); /* and while it ends, we wait for the kernel */
    if (mount_ns < 0)
        return;
    if (only_one)
        close(mount_ns);
    else
        janitor_bury(jailer, mount_ns);
}
