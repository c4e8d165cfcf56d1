/*
 * usage.c - what a living jail uses: figures for people. Nothing is decided by them, and nothing is changed.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/* VmRSS and VmHWM of /proc/PID/status, in kB there. */
static void read_resident(const struct sb_host *host, pid_t pid, struct sb_usage *usage)
{
    char file[40], text[4096];
    snprintf(file, sizeof file, "%d/status", pid);
    if (sb_read_at(host->proc_fd, file, text, sizeof text) <= 0)
        return;
    for (char *tab = text; (tab = strchr(tab, '\t')) != NULL;)
        *tab = ' ';
    usage->memory = sb_number_after(text, "VmRSS:") * 1024;
    usage->memory_peak = sb_number_after(text, "VmHWM:") * 1024;
}

static uint64_t cpu_time(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* Its pid is its own until it is reaped, dead or not. */
void sb_jail_look(const struct sb_host *host, const struct sb_jail *jail, struct sb_usage *usage)
{
    *usage = (struct sb_usage){.cpu_us = cpu_time(jail->pid)};
    read_resident(host, jail->pid, usage);
    if (jail->cgroup.name[0] != '\0')
        host->cgroups.ops->usage(&jail->cgroup, usage);
    if (usage->memory_peak < usage->memory) /* a group without a peak: the resident set's is smaller */
        usage->memory_peak = usage->memory;
}
