/*
 * doctor.h - inside the doctor mode of the jailer: what a trial is, and what it may use.
 *
 * Every trial runs in a forked child of its own, which the doctor kills with all of its descendants when it is
 * over or takes too long. So a trial may unshare, mount, drop and crash as it likes; what it says travels in
 * memory that is shared with the doctor. Trials of cgroups are the exception in one point: a cgroup outlives
 * its maker, so the doctor itself removes what they made.
 */
#ifndef BX_JAILER_DOCTOR_H
#define BX_JAILER_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/doctor_wire.h"

/* The doctor mode of bioxen-jailer: sends every finding to `fd`. Returns the exit status of the process. */
int doctor_main(int fd);

/* The host, as the doctor found it. Constant during the trials. */
struct doctor_host {
    bool privileged; /* enough capabilities to work without an own user namespace */
    uid_t uid;       /* of the caller, before any user namespace */
    gid_t gid;
    char program_dir[4096]; /* where this program, and so bioxen-vm, lives; empty when /proc does not tell */
};

/* What a trial reports. Shared memory: the trial writes, the doctor reads after the trial's end. */
struct doctor_try {
    int code;       /* 0: it worked; else a positive errno */
    int reported;   /* the trial came to its end */
    int status;     /* enum doctor_status when code is 0; else what the row says */
    char step[128]; /* what failed, as a person would name it: "pivot_root" */
    char note[192];
    char cause[320]; /* set by a trial that knows better than doctor_diagnose; else empty */
    char fix[640];
};

typedef int (*doctor_function)(const struct doctor_host *host, struct doctor_try *try);

enum doctor_when { ALWAYS, PRIVILEGED, ORDINARY };

/* One thing that is tried. */
struct doctor_trial {
    const char *id, *title, *needed_by;
    bool required;               /* by `run` with its default options */
    enum doctor_status fails_as; /* DOCTOR_DEGRADED when something weaker takes its place */
    enum doctor_when when;
    const char *sysctl; /* user.max_<sysctl>_namespaces bounds it; NULL: none */
    const char *module; /* kernel module that brings it; NULL: none */
    doctor_function run;
};

/* ---- for trials (doctor.c) ---- */

/* Notes the step that failed and why (a positive errno). Returns -code. */
int doctor_fail(struct doctor_try *try, int code, const char *step, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_note(struct doctor_try *try, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_cause(struct doctor_try *try, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_fix(struct doctor_try *try, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As fork(), with CLONE_NEW* flags for the child. Returns the pid, 0 in the child, -errno. */
pid_t doctor_fork(unsigned long flags);

/* Waits for a child that must exit with 0. Returns 0, or -EIO with the step noted. */
int doctor_wait(struct doctor_try *try, pid_t pid, const char *step);

/* Writes a whole small file (of /proc, /sys). Returns 0 or -errno. */
int doctor_write(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the start of a small file as text without its last newline. Returns 0 or -errno. */
int doctor_read(const char *path, char *out, size_t size);

/* The number in a small file, or -1. */
long doctor_number(const char *path);

/* An ordinary user's trial: become uid 0 of a new user namespace, as the jailer does. No-op with privileges. */
int doctor_become_root(const struct doctor_host *host, struct doctor_try *try);

/* bioxen-vm, by O_PATH. Returns the descriptor or -errno, with cause and fix noted. */
int doctor_open_vm(const struct doctor_host *host, struct doctor_try *try);

/* Would the jailer work here without a user namespace of its own? A trial: 1 goes to try->status. */
int doctor_try_privilege(const struct doctor_host *host, struct doctor_try *try);

/* Removes the control groups that killed trials left (doctor_limits.c). Ends the process's usefulness: for a child. */
void doctor_sweep(const struct doctor_host *host);

/* ---- why it failed, and what mends it (doctor_cause.c) ---- */
void doctor_diagnose(const struct doctor_host *host, const struct doctor_trial *trial,
                     struct doctor_try *try);

/* Why a VM's limit got no control group. `controller` is "memory", "pids" or "cpu"; `others`: another one is there. */
void doctor_blame_cgroup(const struct doctor_host *host, const char *controller, bool others,
                         struct doctor_try *try);

/* No control groups at all? Notes cause and fix. */
bool doctor_no_cgroups(struct doctor_try *try);

/* ---- the trials, each a table that ends with an empty row ---- */
extern const struct doctor_trial doctor_jail_trials[]; /* doctor_jail.c: namespaces, maps, root, mounts */
extern const struct doctor_trial
    doctor_process_trials[];                            /* doctor_process.c: exec, signals, filter, timers */
extern const struct doctor_trial doctor_limit_trials[]; /* doctor_limits.c: whole jails, control groups */
extern const struct doctor_trial doctor_net_trials[];   /* doctor_net.c: what the fabric will need */

#endif
