/*
 * doctor_jail.c - tries what a VM's process lives in: namespaces, the maps of its ids, its root, its mounts.
 *
 * The trials go the jailer's way: as an ordinary user, first a user namespace for the jailer itself; then always
 * a child in new namespaces, whose maps its parent writes.
 */
#include "jailer/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Uids of VMs begin here, far above those of people and services; the process id makes the rest. */
#define VM_UID_BASE 0x70000000u

#define FOREIGN_MAP "the map to a uid of its own"

/* ---- a child in new namespaces ---- */

struct vm_child {
    pid_t pid;
    int go; /* write a byte: its maps are there */
};

static int write_maps(pid_t pid, uid_t uid, gid_t gid, uid_t outside)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    int rc = doctor_write(path, "%u %u 1", uid, outside);
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    return rc != 0 ? rc : doctor_write(path, "%u %u 1", gid, outside);
}

static void child_main(const struct doctor_host *host, struct doctor_try *try, int go[2],
                       doctor_function body)
{
    char byte;
    close(go[1]); /* so that the end of file tells of the parent's death */
    if (read(go[0], &byte, 1) != 1)
        _exit(EIO);
    if (setresgid(host->gid, host->gid, host->gid) != 0 || setresuid(host->uid, host->uid, host->uid) != 0) {
        doctor_fail(try, errno, "becoming the mapped uid and gid");
        _exit(EPERM);
    }
    _exit(body(host, try) == 0 ? 0 : EIO);
}

/* A child in a new user namespace and those of `flags`, waiting for its maps. */
static int vm_fork(const struct doctor_host *host, struct doctor_try *try, unsigned long flags,
                   doctor_function body, struct vm_child *out)
{
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0)
        return doctor_fail(try, errno, "a pipe");
    pid_t pid = doctor_fork(CLONE_NEWUSER | flags);
    if (pid == 0)
        child_main(host, try, go, body);
    close(go[0]);
    if (pid < 0)
        return doctor_fail(try, -pid, "a process in new namespaces");
    *out = (struct vm_child){pid, go[1]};
    return 0;
}

/* Runs `body` in a child in new namespaces, its ids mapped to `outside` (0: as the jailer has it). */
static int in_namespaces(const struct doctor_host *host, struct doctor_try *try, unsigned long flags,
                         bool foreign, doctor_function body)
{
    struct vm_child child = {-1, -1};
    int rc = doctor_become_root(host, try);
    if (rc == 0)
        rc = vm_fork(host, try, flags, body, &child);
    if (rc != 0)
        return rc;
    uid_t outside = foreign ? VM_UID_BASE + (uid_t)child.pid : 0;
    rc = write_maps(child.pid, host->uid, host->gid, outside);
    if (rc != 0)
        return doctor_fail(try, -rc, foreign ? FOREIGN_MAP : "the maps of uid and gid");
    if (write(child.go, "", 1) != 1)
        return doctor_fail(try, errno, "a pipe");
    return doctor_wait(try, child.pid, "a process in new namespaces");
}

/* ---- namespaces ---- */

static const char *kind;   /* file in /proc/self/ns */
static struct stat before; /* of that file, outside */

static int is_another(const struct doctor_host *host, struct doctor_try *try)
{
    char path[64];
    struct stat now;
    (void)host;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    if (stat(path, &now) != 0)
        return doctor_fail(try, errno, "%s", path);
    return now.st_ino != before.st_ino ? 0 : doctor_fail(try, EIO, "leaving the host's %s namespace", kind);
}

static int is_process_one(const struct doctor_host *host, struct doctor_try *try)
{
    (void)host;
    return getpid() == 1 ? 0 : doctor_fail(try, EIO, "being process 1 of a new pid namespace");
}

static int try_namespace(const struct doctor_host *host, struct doctor_try *try, const char *name,
                         unsigned long flag)
{
    char path[64];
    kind = name;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    if (stat(path, &before) != 0)
        return doctor_fail(try, errno == ENOENT ? ENOSYS : errno, "%s", path);
    return in_namespaces(host, try, flag, false, flag == CLONE_NEWPID ? is_process_one : is_another);
}

static int try_user(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "user", 0);
}

static int try_mnt(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "mnt", CLONE_NEWNS);
}

static int try_pid(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "pid", CLONE_NEWPID);
}

static int try_net(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "net", CLONE_NEWNET);
}

static int try_ipc(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "ipc", CLONE_NEWIPC);
}

static int try_uts(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "uts", CLONE_NEWUTS);
}

static int try_cgroup(const struct doctor_host *host, struct doctor_try *try)
{
    return try_namespace(host, try, "cgroup", CLONE_NEWCGROUP);
}

/* ---- /proc and the maps ---- */

static int try_proc(const struct doctor_host *host, struct doctor_try *try)
{
    struct statfs fs;
    (void)host;
    if (statfs("/proc", &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && access("/proc/self/ns/user", F_OK) == 0)
        return 0;
    doctor_cause(try,
                 "/proc is not mounted, or hides this process: ids of a user namespace are written there");
    doctor_fix(try, "sudo mount -t proc proc /proc");
    return doctor_fail(try, ENOENT, "/proc");
}

static int has_own_ids(const struct doctor_host *host, struct doctor_try *try)
{
    return getuid() == host->uid && getgid() == host->gid
               ? 0
               : doctor_fail(try, EIO, "its own uid and gid inside");
}

/* What a VM has as its standard input: the kernel's device and nothing that somebody put in its place. */
static int try_null(const struct doctor_host *host, struct doctor_try *try)
{
    struct stat status;
    (void)host;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int code = fd < 0 ? errno : 0;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
        return 0;
    doctor_cause(try, "/dev/null %s%s", code != 0 ? "cannot be opened: " : "is not the kernel's null device",
                 code != 0 ? strerror(code) : "");
    doctor_fix(try, "sudo sh -c 'rm -f /dev/null && mknod -m 666 /dev/null c 1 3'");
    return doctor_fail(try, code != 0 ? code : ENODEV, "/dev/null");
}

static int try_map(const struct doctor_host *host, struct doctor_try *try)
{
    return in_namespaces(host, try, 0, false, has_own_ids);
}

static int try_map_foreign(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = in_namespaces(host, try, 0, true, has_own_ids);
    if (rc == -EPERM && !host->privileged && strcmp(try->step, FOREIGN_MAP) == 0) {
        doctor_cause(
            try, "an ordinary user can map their own uid only: for the host, every VM is you, and is kept "
                 "from the others by its namespaces and its filter");
        doctor_fix(try, "sudo bioxen run SCRIPT");
    }
    return rc;
}

/* ---- an empty root ---- */

static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return false;
    int entries = 0;
    while (readdir(directory) != NULL)
        entries++;
    closedir(directory);
    return entries == 2; /* "." and ".." */
}

/* A tmpfs takes the place of /proc, which exists wherever this program runs, and then of everything. */
static int make_root(const struct doctor_host *host, struct doctor_try *try)
{
    (void)host;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return doctor_fail(try, errno, "making the mounts private");
    if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=4,mode=755") !=
        0)
        return doctor_fail(try, errno, "mounting a tmpfs");
    if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return doctor_fail(try, errno, "pivot_root");
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return doctor_fail(try, errno, "leaving the old root");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) !=
        0)
        return doctor_fail(try, errno, "making the root read-only");
    if (mkdir("/x", 0700) == 0 || errno != EROFS)
        return doctor_fail(try, EIO, "a root that cannot be written");
    return is_empty("/") ? 0 : doctor_fail(try, EIO, "an empty root");
}

static int try_root(const struct doctor_host *host, struct doctor_try *try)
{
    return in_namespaces(host, try, CLONE_NEWNS, host->privileged, make_root);
}

/* ---- mounts of profile full ---- */

static int fill_scratch(const struct doctor_host *host, struct doctor_try *try)
{
    static char page[4096];
    (void)host;
    if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=16k,nr_inodes=4,mode=1777") != 0)
        return doctor_fail(try, errno, "mounting a tmpfs with a size");
    int fd = open("/proc/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return doctor_fail(try, errno, "a file in a tmpfs");
    for (int i = 0; i < 16; i++)
        if (write(fd, page, sizeof page) < 0)
            return errno == ENOSPC ? 0 : doctor_fail(try, errno, "filling a tmpfs");
    return doctor_fail(try, EIO, "a tmpfs that is full at its size");
}

static int try_scratch(const struct doctor_host *host, struct doctor_try *try)
{
    return in_namespaces(host, try, CLONE_NEWNS, host->privileged, fill_scratch);
}

static int mount_clone(const char *path)
{
    long fd = syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

static int attach_readonly(const struct doctor_host *host, struct doctor_try *try)
{
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    int tree = mount_clone(host->program_dir);
    if (tree < 0)
        return doctor_fail(try, -tree, "open_tree of %.80s", host->program_dir);
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        return doctor_fail(try, errno, "mount_setattr: a read-only mount");
    if (mount("tmpfs", "/proc", "tmpfs", 0, "size=4k,nr_inodes=4,mode=755") != 0 ||
        mkdir("/proc/app", 0755) != 0)
        return doctor_fail(try, errno, "mounting a tmpfs");
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, "/proc/app", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return doctor_fail(try, errno, "move_mount");
    return access("/proc/app/bioxen-vm", F_OK) == 0 ? 0 : doctor_fail(try, errno, "a file below the mount");
}

static int try_bind(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = doctor_become_root(host, try);
    if (rc == 0 && unshare(CLONE_NEWNS) != 0)
        rc = doctor_fail(try, errno, "a mount namespace");
    if (rc == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        rc = doctor_fail(try, errno, "making the mounts private");
    return rc == 0 ? attach_readonly(host, try) : rc;
}

static int wait_for_a_signal(const struct doctor_host *host, struct doctor_try *try)
{
    (void)host, (void)try;
    return pause();
}

/* The user namespace of a child, mapped as a VM's is: what an idmapped mount translates by. */
static int vm_user_namespace(const struct doctor_host *host, struct doctor_try *try, pid_t *pid)
{
    char path[64];
    struct vm_child child = {-1, -1};
    int rc = vm_fork(host, try, 0, wait_for_a_signal, &child);
    if (rc != 0)
        return rc;
    *pid = child.pid;
    rc = write_maps(child.pid, host->uid, host->gid, VM_UID_BASE + (uid_t)child.pid);
    if (rc != 0)
        return doctor_fail(try, -rc, FOREIGN_MAP);
    snprintf(path, sizeof path, "/proc/%d/ns/user", child.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : doctor_fail(try, errno, "%s", path);
}

static int try_idmap(const struct doctor_host *host, struct doctor_try *try)
{
    pid_t pid = -1;
    int user = vm_user_namespace(host, try, &pid);
    if (user < 0)
        return user;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)user};
    int tree = mount_clone(".");
    int rc = 0;
    if (tree < 0)
        rc = doctor_fail(try, -tree, "open_tree of the current directory");
    else if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        rc = doctor_fail(try, errno, "mount_setattr: an idmapped mount of the current directory");
    if (rc == -EINVAL || rc == -EOPNOTSUPP) {
        doctor_cause(
            try,
            "the file system of the current directory, or this kernel, has no idmapped mounts (\"%s\"): "
            "--mount HOST:VM:rw is refused there, and read-only mounts show files with their true owners",
            strerror(-rc));
        doctor_fix(try, "cd DIRECTORY # one on ext4, xfs or btrfs; tmpfs from Linux 6.3 on");
    }
    kill(pid, SIGKILL);
    return rc;
}

#define RUN  "bioxen run"
#define FULL "--profile full"

const struct doctor_trial doctor_jail_trials[] = {
    {"proc", "/proc", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_proc},
    {"null", "/dev/null", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_null},
    {"userns", "user namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "user", NULL, try_user},
    {"uid-map", "maps of uid and gid", RUN, true, DOCTOR_MISSING, ALWAYS, "user", NULL, try_map},
    {"uid-own", "a host uid of its own for each VM", RUN, true, DOCTOR_MISSING, PRIVILEGED, "user", NULL,
     try_map_foreign},
    {"uid-own", "a host uid of its own for each VM", "a second wall between VMs", false, DOCTOR_DEGRADED,
     ORDINARY, "user", NULL, try_map_foreign},
    {"mount-ns", "mount namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "mnt", NULL, try_mnt},
    {"pid-ns", "pid namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "pid", NULL, try_pid},
    {"net-ns", "network namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "net", NULL, try_net},
    {"ipc-ns", "ipc namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "ipc", NULL, try_ipc},
    {"uts-ns", "uts namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "uts", NULL, try_uts},
    {"cgroup-ns", "cgroup namespace", RUN, true, DOCTOR_MISSING, ALWAYS, "cgroup", NULL, try_cgroup},
    {"root", "empty read-only root, pivot_root", RUN, true, DOCTOR_MISSING, ALWAYS, "mnt", NULL, try_root},
    {"scratch", "tmpfs with a size", FULL, false, DOCTOR_MISSING, ALWAYS, "mnt", NULL, try_scratch},
    {"bind", "read-only mount of a directory", FULL ", --mount", false, DOCTOR_MISSING, ALWAYS, "mnt", NULL,
     try_bind},
    {"idmap", "idmapped mount, current directory", "--mount HOST:VM:rw as root", false, DOCTOR_MISSING,
     PRIVILEGED, "mnt", NULL, try_idmap},
    {0},
};
