/*
 * run_table.h - the options that say what a VM is to be: in the table of each verb that makes VMs. Only initialisers
 * are here; who takes an option apart is run_options.c.
 */
#ifndef BX_CLI_RUN_TABLE_H
#define BX_CLI_RUN_TABLE_H

#include "verb.h"

enum run_option_id {
    OPT_CODE = 'e',
    OPT_PROFILE = 256,
    OPT_MEMORY,
    OPT_CPUS,
    OPT_TIMEOUT,
    OPT_CPU_TIME,
    OPT_PIDS,
    OPT_OUTPUT_LIMIT,
    OPT_ENV,
    OPT_MOUNT,
    OPT_NETWORK,
    OPT_REPORT,
    OPT_NAME,
    OPT_RESTART,
    OPT_OF_OTHERS, /* a verb's own options begin here */
};

#define RUN_MIB      (UINT64_C(1) << 20)
#define RUN_SIZE_TOP (UINT64_C(64) << 40)       /* half of an x86-64 process's address space */
#define RUN_TIME_TOP (UINT64_C(8760) * 3600000) /* a year */
#define RUN_PIDS_TOP 4194304                    /* the kernel's own bound (PID_MAX_LIMIT) */

/* `timeout` is the default of --timeout. */
#define RUN_VM_OPTIONS(timeout) \
    {.id = OPT_PROFILE, \
     .name = "profile", \
     .kind = CLI_WORD, \
     .value = "NAME", \
     .words = "restricted|full", \
     .fallback = "restricted", \
     .help = "what the script may do: restricted or full"}, \
    {.id = OPT_MEMORY, \
     .name = "memory", \
     .kind = CLI_SIZE, \
     .value = "SIZE", \
     .min = 2 * RUN_MIB, \
     .max = RUN_SIZE_TOP, \
     .fallback = "64MiB", \
     .help = "memory limit"}, \
    {.id = OPT_CPUS, \
     .name = "cpus", \
     .kind = CLI_CPUS, \
     .value = "NUMBER", \
     .min = 10, \
     .max = 1000000, \
     .fallback = "1", \
     .help = "processor limit"}, \
    {.id = OPT_TIMEOUT, \
     .name = "timeout", \
     .kind = CLI_TIME, \
     .value = "TIME", \
     .min = 1, \
     .max = RUN_TIME_TOP, \
     .fallback = (timeout), \
     .help = "time limit, from start to end"}, \
    {.id = OPT_CPU_TIME, \
     .name = "cpu-time", \
     .kind = CLI_TIME, \
     .value = "TIME", \
     .min = 1, \
     .max = RUN_TIME_TOP, \
     .fallback = "none", \
     .help = "CPU time limit"}, \
    {.id = OPT_PIDS, \
     .name = "pids", \
     .kind = CLI_COUNT, \
     .value = "NUMBER", \
     .min = 1, \
     .max = RUN_PIDS_TOP, \
     .fallback = "16", \
     .help = "limit of processes and threads"}, \
    {.id = OPT_OUTPUT_LIMIT, \
     .name = "output-limit", \
     .kind = CLI_SIZE, \
     .value = "SIZE", \
     .min = 1, \
     .max = RUN_SIZE_TOP, \
     .fallback = "10MiB", \
     .help = "limit of stdout and stderr together"}, \
    {.id = OPT_ENV, \
     .name = "env", \
     .kind = CLI_TEXT, \
     .value = "K[=V]", \
     .help = "set a variable for os.getenv; without =V: the caller's own; repeatable"}, \
    {.id = OPT_MOUNT, \
     .name = "mount", \
     .kind = CLI_FILE, \
     .value = "HOST:VM[:ro|rw]", \
     .help = "show a directory or file, read-only unless rw; profile full only; repeatable"}, \
    {.id = OPT_NETWORK, \
     .name = "network", \
     .kind = CLI_WORD, \
     .value = "NAME", \
     .words = "none|fabric", \
     .fallback = "none", \
     .help = "none, or fabric: sockets in a private network"}

#define RUN_VM_OPTION_COUNT 10

#endif
