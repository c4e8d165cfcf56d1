/*
 * cgroup_sweep.c - takes away what processes that were killed could not: groups with our name whose lock is
 * free. It kills nothing outside such a group.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define ROUND_PIDS 32
/* Killing is done in a few milliseconds; a process that hangs in the kernel is left to the next sweep. */
#define SWEEP_ROUNDS   400
#define SWEEP_PAUSE_NS 2500000
/* A directory that is younger may be between its mkdir and its flock. */
#define YOUNG_SECONDS 1

static unsigned read_pids(int dir, pid_t pids[ROUND_PIDS])
{
    char text[ROUND_PIDS * 12];
    unsigned count = 0;
    if (sb_read_at(dir, "cgroup.procs", text, sizeof text) <= 0)
        return 0;
    for (char *next = text, *end; count < ROUND_PIDS; next = end) {
        long pid = strtol(next, &end, 10);
        if (end == next || *end != '\n') /* the last one may have been cut */
            break;
        if (pid > 0)
            pids[count++] = (pid_t)pid;
    }
    return count;
}

static bool listed(const pid_t *pids, unsigned count, pid_t pid)
{
    for (unsigned i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/*
 * A pid may die and be given to somebody else between reading and killing. So each is pinned by a pidfd, and
 * the list is read again: who is in it still is in the group.
 */
void sb_cgroup_kill_each(int dir)
{
    pid_t pids[ROUND_PIDS], again[ROUND_PIDS];
    int pinned[ROUND_PIDS];
    unsigned count = read_pids(dir, pids);
    for (unsigned i = 0; i < count; i++)
        pinned[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
    unsigned still = count > 0 ? read_pids(dir, again) : 0;
    for (unsigned i = 0; i < count; i++) {
        if (pinned[i] >= 0 && listed(again, still, pids[i]))
            syscall(SYS_pidfd_send_signal, pinned[i], SIGKILL, NULL, 0);
        sb_close(&pinned[i]);
    }
}

static void empty_group(const struct sb_cgroup_host *host, int base, const char *name)
{
    int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        host->ops->kill(dir);
    sb_close(&dir);
}

static void pause_sweep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = SWEEP_PAUSE_NS}, NULL);
}

static void remove_stale(const struct sb_cgroup_host *host, const char *name)
{
    for (int i = SB_CONTROLLERS - 1; i >= 0; i--) {
        int rc = -1;
        for (int round = 0; round < SWEEP_ROUNDS && rc != 0 && host->base[i] >= 0; round++) {
            rc = unlinkat(host->base[i], name, AT_REMOVEDIR);
            if (rc == 0 || errno != EBUSY)
                break;
            empty_group(host, host->base[i], name);
            pause_sweep();
        }
    }
}

static bool is_stale(int dir, pid_t owner)
{
    struct stat status;
    if (flock(dir, LOCK_EX | LOCK_NB) != 0 || fstat(dir, &status) != 0)
        return false;
    bool owner_lives = kill(owner, 0) == 0 || errno == EPERM;
    return !owner_lives || time(NULL) - status.st_ctime > YOUNG_SECONDS;
}

/*
 * A child that was between clone and exec still holds the lock of its dead parent, until it sees that and
 * ends.
 */
static bool wait_for_lock(int dir)
{
    int rc = -1;
    for (int round = 0; round < SWEEP_ROUNDS && rc != 0; round++) {
        rc = flock(dir, LOCK_EX | LOCK_NB);
        if (rc != 0)
            pause_sweep();
    }
    return rc == 0;
}

static void sweep_one(const struct sb_cgroup_host *host, int base, const char *name, pid_t dead)
{
    pid_t owner = (pid_t)atoi(name + sizeof SB_CGROUP_PREFIX - 1);
    int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && (owner == dead ? wait_for_lock(dir) : is_stale(dir, owner)))
        remove_stale(host, name);
    sb_close(&dir);
}

void sb_host_sweep(struct sb_host *host, pid_t dead)
{
    int first = -1;
    for (int i = 0; i < SB_CONTROLLERS && first < 0; i++)
        if (host->cgroups.base[i] >= 0)
            first = openat(host->cgroups.base[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = first >= 0 ? fdopendir(first) : NULL;
    if (list == NULL) {
        sb_close(&first);
        return;
    }
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        if (sb_cgroup_name_ours(entry->d_name))
            sweep_one(&host->cgroups, first, entry->d_name, dead);
    closedir(list);
}
