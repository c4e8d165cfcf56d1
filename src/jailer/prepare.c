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

/* What most VMs ask for: their cgroup can be made before they ask. */
static const struct sb_limits usual_limits = {BX_DEFAULT_MEMORY, BX_DEFAULT_PIDS, BX_DEFAULT_CPUS_MILLI};

/*
 * The janitor makes the network namespace and waits for the kernel to let go of the old root; we do all the
 * rest.
 */
static int prepare_together(struct jailer *jailer, struct sb_error *err)
{
    int rc = sb_host_copy_mounts(err);
    if (rc != 0)
        return rc;
    if (jailer->host.cgroups.owner == 0)
        sb_host_find_cgroups(&jailer->host); /* before the root is gone */
    rc = sb_host_new_root(&jailer->host, err);
    if (rc == 0)
        rc = janitor_brief(jailer, err);
    if (rc != 0)
        return rc;
    sb_host_park(&jailer->host, &usual_limits);
    rc = janitor_take_net(jailer, err);
    return rc == 0 ? sb_host_check_root(&jailer->host, jailer->janitor.dead.fd, err) : rc;
}

static int prepare_alone(struct jailer *jailer, struct sb_error *err)
{
    int rc = jailer->host.empty_root ? 0 : sb_host_empty_root(&jailer->host, err);
    return rc == 0 && !jailer->net_ready ? sb_host_new_net(err) : rc;
}

int prepare(struct jailer *jailer, struct sb_error *err)
{
    int rc = 0;
    if (jailer->janitor.leaving)
        janitor_reap(jailer);
    if (jailer->janitor.pid == 0) {
        rc = janitor_start(jailer, err);
        if (rc == 0)
            rc = janitor_watch(jailer);
        if (rc != 0)
            *err = (struct sb_error){.code = -rc, .text = "cannot start the janitor"};
    }
    if (rc == 0)
        rc = jailer->janitor.briefed ? prepare_alone(jailer, err) : prepare_together(jailer, err);
    jailer->net_ready = rc == 0;
    return rc;
}

void prepare_after_spawn(struct jailer *jailer)
{
    struct sb_error ignored; /* it is tried again, and told, when the next VM is asked for */
    jailer->net_ready = false; /* it is the VM's now, as well as ours until the next one is made */
    jailer->spawned++;
    if (jailer->spawned > 1) {
        jailer->net_ready = sb_host_new_net(&ignored) == 0;
        return;
    }
    sb_host_leave_root(&jailer->host);
    janitor_leave_root(jailer);
}

void prepare_after_death(struct jailer *jailer, int mount_ns)
{
    bool only_one = jailer->spawned == 1 && jailer->vm_count == 0;
    janitor_bury(jailer, mount_ns, only_one);
}
