/*
 * policy.c - what the jailer decides for itself, at its start and for good: whatever bioxend asks for
 * afterwards, it gets no more than this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "jailer.h"

/* pidfd, mount namespace, three cgroup directories, a net; and a dozen of our own, with room for one request. */
#define FDS_PER_VM   6
#define FDS_RESERVED 64

static void raise_descriptor_limit(struct rlimit *limit)
{
    if (getrlimit(RLIMIT_NOFILE, limit) != 0)
        *limit = (struct rlimit){256, 256};
    limit->rlim_cur = limit->rlim_max;
    setrlimit(RLIMIT_NOFILE, limit);
}

void policy_init(struct policy *policy)
{
    struct rlimit descriptors;
    raise_descriptor_limit(&descriptors);
    uint64_t by_descriptors =
        descriptors.rlim_cur > FDS_RESERVED ? (descriptors.rlim_cur - FDS_RESERVED) / FDS_PER_VM : 1;
    policy->vms_max = by_descriptors < VMS_MAX ? (uint32_t)by_descriptors : VMS_MAX;
    /* Where no cgroup counts it, a scratch file system is memory that no other limit sees. */
    struct sysinfo info;
    policy->tmp_max = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit / 2 : 0;
}

static int refuse(struct sb_error *err, int code, const char *text)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s", text);
    return -code;
}

/*
 * Whatever bioxend became, a VM gets pipes and sockets from it, never a file or a directory of the host; and a
 * mount is asked for by a descriptor that can do nothing else.
 */
static bool descriptors_sound(const int *fds, unsigned count)
{
    struct stat status;
    for (unsigned i = 0; i < SB_HANDED_FDS; i++)
        if (fstat(fds[i], &status) != 0 || (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)))
            return false;
    for (unsigned i = SB_HANDED_FDS; i < count; i++)
        if ((fcntl(fds[i], F_GETFL) & O_PATH) == 0)
            return false;
    return true;
}

int policy_check(const struct jailer *jailer, const struct jw_request *request, const int *fds,
                 struct sb_error *err)
{
    if (jailer->closing)
        return refuse(err, ESHUTDOWN, "the jailer is shutting down");
    if (vms_find(jailer, request->vm) != NULL)
        return refuse(err, EEXIST, "the VM exists already");
    if (jailer->vm_count >= jailer->policy.vms_max)
        return refuse(err, EMFILE, "too many VMs for the limit of open files: raise it (ulimit -n)");
    if (request->spawn.tmp_bytes > jailer->policy.tmp_max)
        return refuse(err, ENOSPC, "the scratch space is larger than half of this machine's memory");
    if (!descriptors_sound(fds, SB_HANDED_FDS + request->spawn.mount_count))
        return refuse(err, EINVAL,
                      "a descriptor for the VM is neither a pipe nor a socket, or a mount's is not O_PATH");
    return 0;
}
