/*
 * mount.c - the parent's side of mounts: host directories, cloned for one jail.
 *
 * Whoever asks hands in an O_PATH descriptor, which proves that they can reach the place. The mount that it
 * stands on belongs to their mount namespace, so the same place is found again in ours by its path, without
 * following a single symlink, and is taken only if it is the very same inode: a path that was swapped in
 * between is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define SAFE_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

#define OPEN_TREE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)

static int path_of(const struct sb_plan *plan, const struct sb_plan_mount *mount, char *path,
                   struct sb_error *err)
{
    char link[40];
    snprintf(link, sizeof link, "self/fd/%d", mount->source_fd);
    ssize_t length = readlinkat(plan->host->proc_fd, link, path, SB_PATH_MAX);
    if (length <= 0 || length >= SB_PATH_MAX || path[0] != '/')
        return sb_fail(err, ENOENT, "the source of the mount /%s cannot be reached", mount->target);
    path[length] = '\0';
    return 0;
}

static int open_same(const struct sb_plan *plan, const struct sb_plan_mount *mount, struct sb_error *err)
{
    char path[SB_PATH_MAX];
    int rc = path_of(plan, mount, path, err);
    if (rc != 0)
        return rc;
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0)
        return sb_fail_errno(err, errno, "cannot open the source of the mount /%s", mount->target);
    struct stat theirs, ours;
    if (fstat(mount->source_fd, &theirs) == 0 && fstat(fd, &ours) == 0 && theirs.st_dev == ours.st_dev &&
        theirs.st_ino == ours.st_ino)
        return fd;
    close(fd);
    return sb_fail(err, ESTALE, "the source of the mount /%s was replaced meanwhile", mount->target);
}

/*
 * With AT_RECURSIVE only where the kernel insists: an ordinary user may not take away what is mounted below.
 */
static int clone_tree(int fd, unsigned *recursive)
{
    *recursive = 0;
    int tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_FLAGS);
    if (tree >= 0 || errno != EINVAL)
        return tree >= 0 ? tree : -errno;
    *recursive = AT_RECURSIVE;
    tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_FLAGS | AT_RECURSIVE);
    return tree >= 0 ? tree : -errno;
}

static int set_attributes(int tree, unsigned recursive, const struct mount_attr *attr)
{
    return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, attr, sizeof *attr) == 0 ? 0
                                                                                                    : -errno;
}

/*
 * The jail's uid is nobody's on the host. An idmapped mount shows the caller's files as the jail's own, and
 * what the jail writes as the caller's. A file system without that can still be read, as far as its files are
 * public.
 */
static int map_ids(const struct sb_plan_mount *mount, int tree, unsigned recursive, int users,
                   struct sb_error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users};
    int rc = set_attributes(tree, recursive, &attr);
    if (rc == 0 || !mount->writable)
        return 0;
    return sb_fail_errno(
        err, -rc,
        "the file system of the mount /%s has no idmapped mounts, so it cannot be writable for root's VM: "
        "mount it read-only, or start bioxen as an ordinary user",
        mount->target);
}

static int make_tree(const struct sb_plan *plan, const struct sb_plan_mount *mount, int users,
                     struct sb_error *err)
{
    int fd = open_same(plan, mount, err);
    if (fd < 0)
        return fd;
    unsigned recursive = 0;
    int tree = clone_tree(fd, &recursive);
    close(fd);
    if (tree < 0)
        return sb_fail_errno(err, -tree, "cannot clone the mount /%s", mount->target);
    struct mount_attr attr = {.attr_set = SAFE_ATTRS | (mount->writable ? 0 : MOUNT_ATTR_RDONLY)};
    int rc = set_attributes(tree, recursive, &attr);
    if (rc != 0)
        sb_fail_errno(err, -rc, "cannot make the mount /%s safe", mount->target);
    else if (plan->host->privileged)
        rc = map_ids(mount, tree, recursive, users, err);
    if (rc == 0)
        return tree;
    close(tree);
    return rc;
}

static int make_trees(const struct sb_plan *plan, int users, int trees[SB_MOUNTS_MAX], struct sb_error *err)
{
    for (unsigned i = 0; i < plan->mount_count; i++) {
        trees[i] = make_tree(plan, &plan->mounts[i], users, err);
        if (trees[i] < 0)
            return trees[i];
    }
    return 0;
}

int sb_mount_trees(const struct sb_plan *plan, pid_t pid, int trees[SB_MOUNTS_MAX], struct sb_error *err)
{
    struct sb_host *host = plan->host;
    char link[40];
    snprintf(link, sizeof link, "%d/ns/user", pid);
    int users = openat(host->proc_fd, link, O_RDONLY | O_CLOEXEC);
    if (users < 0)
        return sb_fail_errno(err, errno, "cannot open the user namespace of the jail");
    int rc = setns(host->wide_ns, CLONE_NEWNS) == 0
                 ? 0
                 : sb_fail_errno(err, errno, "cannot enter the mount namespace");
    if (rc == 0) {
        rc = make_trees(plan, users, trees, err);
        if (setns(host->small_ns, CLONE_NEWNS) != 0) {
            /* Never again a jail: its root would be the host's. */
            host->empty_root = false;
            rc = sb_fail_errno(err, errno, "cannot return to the empty root");
        }
    }
    close(users);
    return rc;
}
