/*
 * internal.h - what the files of libsandbox share among themselves. Not for anybody else, but for its unit
 * tests.
 */
#ifndef SB_INTERNAL_H
#define SB_INTERNAL_H

#include "sandbox.h"

#define SB_PATH_MAX 4096
#define SB_CGROUP_PATH_MAX                                                                                   \
    1024 /* longer ones count as not found: they are on the stack, and read at each start */

/* Descriptors inside the child, from the step that orders them until exec. */
enum { SB_FD_SYNC = SB_HANDED_FDS + 1, SB_FD_PROGRAM, SB_FD_FREE };

/* ---- error.c ---- */
int sb_fail(struct sb_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* With ": <strerror(code)>" added. */
int sb_fail_errno(struct sb_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As sb_fail_errno, for a namespace that cannot be made: a limit is called a limit. */
int sb_fail_namespace(struct sb_error *err, int code, const char *what);
void sb_close(int *fd);

/* ---- files.c: small kernel files ---- */
int sb_write_at(int dir, const char *file, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The first bytes of a file as text. Returns the length or -errno. */
ssize_t sb_read_at(int dir, const char *file, char *out, size_t size);
/* The number that a file begins with, into *out; it stays as it is when there is none to be read. */
void sb_number_at(int dir, const char *file, uint64_t *out);
/* The number that follows `key` and a blank at the start of a line; 0 when there is none. */
uint64_t sb_number_after(const char *text, const char *key);

/* ---- cgroup_parse.c: pure ---- */
struct sb_cgroup_mount {
    char root[SB_CGROUP_PATH_MAX];  /* what of the hierarchy is mounted */
    char point[SB_CGROUP_PATH_MAX]; /* where */
};
/* One line of mountinfo: is it a cgroup mount with this controller (NULL: a cgroup2 mount)? */
bool sb_cgroup_parse_mount(const char *line, const char *controller, struct sb_cgroup_mount *out);
/* One line of /proc/self/cgroup: is it that of this controller (NULL: v2)? */
bool sb_cgroup_parse_own(const char *line, const char *controller, char *path, size_t size);
/* The directory in which the cgroup `own` shows, or false when the mount does not show it. */
bool sb_cgroup_directory(const struct sb_cgroup_mount *mount, const char *own, char *out, size_t size);
/* Is `word` in the blank-separated list? */
bool sb_has_word(const char *list, const char *word);
/* "bioxen-<pid>.<n>"? */
bool sb_cgroup_name_ours(const char *name);

/* ---- cgroup_find.c, cgroup_v1.c, cgroup_v2.c, cgroup.c ---- */
#define SB_CGROUP_PREFIX "bioxen-"

struct sb_cgroup_ops {
    enum sb_enforcer enforcer;
    /* Files beside the directories of a new group. */
    int (*prepare)(struct sb_cgroup *group);
    /* Writes the limits that differ from group->limits. */
    int (*limit)(struct sb_cgroup *group, const struct sb_limits *limits, const char **what);
    void (*kill)(int dir);
    void (*figures)(const struct sb_cgroup *group, struct sb_death *death);
    /* Memory now and at most; what the group does not tell stays as it is. */
    void (*usage)(const struct sb_cgroup *group, struct sb_usage *usage);
};

extern const struct sb_cgroup_ops sb_cgroup_v1, sb_cgroup_v2;

/*
 * Where v2 groups may be made, walking up from `path`, the directory of our own cgroup inside the mount
 * `point`.
 */
int sb_cgroup_v2_find(char *path, const char *point, bool found[SB_CONTROLLERS]);
/* Kills what is in a group of either version, one process at a time. */
void sb_cgroup_kill_each(int dir);

void sb_cgroup_find(struct sb_cgroup_host *host, int proc_fd, pid_t owner);
void sb_cgroup_host_fini(struct sb_cgroup_host *host);
void sb_cgroup_clear(struct sb_cgroup *group);
/*
 * Is the controller needed for these limits, and there? A whole processor needs none: a jail has one thread.
 */
bool sb_cgroup_uses(const struct sb_cgroup_host *host, const struct sb_limits *limits,
                    enum sb_controller controller);
int sb_cgroup_make(struct sb_cgroup_host *host, struct sb_cgroup *group, const struct sb_limits *limits,
                   struct sb_error *err);
/* Limits for a group that may lack a controller so far. */
int sb_cgroup_adjust(struct sb_cgroup_host *host, struct sb_cgroup *group, const struct sb_limits *limits,
                     struct sb_error *err);
void sb_cgroup_close_joins(struct sb_cgroup *group);
void sb_cgroup_remove(const struct sb_cgroup_host *host, struct sb_cgroup *group);

/* ---- limits.c ---- */
void sb_limits_plan(struct sb_plan *plan, const struct sb_spec *spec);

/* ---- creds.c ---- */
bool sb_creds_privileged(int proc_fd);
int sb_creds_become_root(uid_t uid, gid_t gid, struct sb_error *err);
int sb_creds_map(const struct sb_host *host, pid_t pid, struct sb_error *err);

/* ---- mount.c ---- */
int sb_mount_trees(const struct sb_plan *plan, pid_t pid, int trees[SB_MOUNTS_MAX], struct sb_error *err);

/* ---- child.c and its steps: after clone. System calls only, no allocation, no lock, no stdio ---- */
struct sb_child {
    const struct sb_plan *plan;
    const struct sb_cgroup *group;
    int sync;       /* to the parent; close-on-exec, so that its end of file says that the program runs */
    int parent_end; /* the parent's end of it, as inherited */
    int trees[SB_MOUNTS_MAX];
};

struct sb_child_report {
    int step;
    int code;
};

void sb_child_run(struct sb_child *child) __attribute__((noreturn));
const char *sb_child_step_name(int step);

/* Each returns 0 or -errno. */
int sb_step_name(struct sb_child *child);         /* child.c */
int sb_step_personality(struct sb_child *child);
int sb_step_signals(struct sb_child *child);
int sb_step_wait(struct sb_child *child);
int sb_step_descriptors(struct sb_child *child);
int sb_step_death_signal(struct sb_child *child);
int sb_step_exec(struct sb_child *child);
int sb_step_cgroup(struct sb_child *child);       /* cgroup_join.c */
int sb_step_cgroup_namespace(struct sb_child *child);
int sb_step_keyring(struct sb_child *child);      /* creds.c */
int sb_step_ids(struct sb_child *child);
int sb_step_bounding_set(struct sb_child *child);
int sb_step_capabilities(struct sb_child *child);
int sb_step_no_new_privileges(struct sb_child *child);
int sb_step_root(struct sb_child *child);         /* root.c */
int sb_step_host_name(struct sb_child *child);    /* limits.c */
int sb_step_limits(struct sb_child *child);

#endif
