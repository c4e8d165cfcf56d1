/*
 * root.c - the child's root directory, when it has files: a small read-only tmpfs of its own, with /tmp and
 * the mounts.
 *
 * It is built before any hostile code exists, in a file system that nobody else sees, by descriptors: no path
 * of a stranger is followed. (Images and their symlinks are how container run-times lose this race.)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

#define SAFE_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Directories on the way to sixteen targets of 127 bytes, generously. */
#define ROOT_INODES "2048"
#define ROOT_SIZE   "1m"

static int set_string(int fs, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) == 0 ? 0 : -errno;
}

/* A tmpfs that is mounted nowhere yet. Returns its descriptor or -errno. */
static int new_tmpfs(const char *size, const char *inodes, const char *mode)
{
    int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    int rc = set_string(fs, "size", size);
    if (rc == 0)
        rc = set_string(fs, "nr_inodes", inodes);
    if (rc == 0)
        rc = set_string(fs, "mode", mode);
    if (rc == 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        rc = -errno;
    if (rc == 0) {
        rc = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, SAFE_ATTRS);
        rc = rc < 0 ? -errno : rc;
    }
    close(fs);
    return rc;
}

static int make_target(int root, const struct sb_plan_mount *mount)
{
    char path[SB_TARGET_MAX];
    memcpy(path, mount->target, sizeof path);
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(root, path, 0755) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    if (mount->is_directory)
        return mkdirat(root, path, 0755) == 0 ? 0 : -errno;
    return mknodat(root, path, S_IFREG | 0444, 0) == 0 ? 0 : -errno;
}

static int attach(int tree, int root, const char *target)
{
    return syscall(SYS_move_mount, tree, "", root, target, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int attach_all(struct sb_child *child, int root)
{
    const struct sb_plan *plan = child->plan;
    int tmp = new_tmpfs(plan->tmp_size, plan->tmp_inodes, "1777");
    int rc = tmp < 0 ? tmp : attach(tmp, root, "tmp");
    for (unsigned i = 0; i < plan->mount_count && rc == 0; i++)
        rc = attach(child->trees[i], root, plan->mounts[i].target);
    return rc;
}

static int make_read_only(int root)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    return syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0 ? 0 : -errno;
}

/*
 * pivot_root(".", ".") stacks the old root on the new one, from where it is taken off: no directory is needed
 * for it.
 */
static int enter(int root)
{
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return -errno;
    if (syscall(SYS_umount2, ".", MNT_DETACH) != 0)
        return -errno;
    return chdir("/") == 0 ? 0 : -errno;
}

/* It was inherited, in a mount namespace of our own: believe that after a look. */
static int is_empty_root(const struct sb_host *host)
{
    struct stat root, here;
    if (stat("/", &root) != 0 || stat(".", &here) != 0)
        return -errno;
    return root.st_dev == host->root_device && here.st_dev == root.st_dev ? 0 : -EXDEV;
}

int sb_step_root(struct sb_child *child)
{
    const struct sb_plan *plan = child->plan;
    if (!plan->has_files)
        return is_empty_root(plan->host);
    int root = new_tmpfs(ROOT_SIZE, ROOT_INODES, "0755");
    if (root < 0)
        return root;
    int rc = mkdirat(root, "tmp", 0755) == 0 ? 0 : -errno;
    for (unsigned i = 0; i < plan->mount_count && rc == 0; i++)
        rc = make_target(root, &plan->mounts[i]);
    if (rc == 0)
        rc = attach(root, AT_FDCWD, "/");
    if (rc == 0)
        rc = attach_all(child, root);
    if (rc == 0)
        rc = make_read_only(root);
    return rc == 0 ? enter(root) : rc;
}
