/*
 * launch.c - bioxend and the jailer are started side by side, each with the sockets that it needs and nothing else: the
 * orchestrator never has the jailer's privileges, not even at birth through a common parent's memory.
 */
#include "launch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/socket.h"

enum { FIRST_FD = 3, START_FAILED = 127 };

struct places {
    char orchestrator[PATH_MAX];
    char jailer[PATH_MAX];
};

static int join(char *out, const char *directory, const char *rest)
{
    int length = snprintf(out, PATH_MAX, "%s/%s", directory, rest);
    return length > 0 && length < PATH_MAX && access(out, X_OK) == 0 ? 0 : -ENOENT;
}

static int cut_to_directory(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

static int own_directory(char *out)
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (length <= 0)
        return -ENOENT;
    out[length] = '\0';
    return cut_to_directory(out);
}

/* Where the shared library lies that this is in. The programs of bioxen have it in themselves. */
static int library_directory(char *out)
{
#if defined __PIC__ && !defined __PIE__
    Dl_info info;
    if (dladdr((void *)(uintptr_t)launch_daemons, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, out) == NULL)
        return -ENOENT;
    return cut_to_directory(out);
#else
    (void)out;
    return -ENOENT;
#endif
}

static int find_in(const char *directory, const char *below, struct places *places)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", directory, below);
    if (length < 0 || length >= PATH_MAX)
        return -ENOENT;
    int rc = join(places->orchestrator, path, "bioxend");
    return rc == 0 ? join(places->jailer, path, "bioxen-jailer") : rc;
}

static int find_beside(const char *directory, struct places *places)
{
    int rc = find_in(directory, "", places);
    return rc == 0 ? 0 : find_in(directory, "/../libexec/bioxen", places);
}

static int find_programs(struct places *places, struct bx_error *err)
{
    char own[PATH_MAX], library[PATH_MAX];
    if (own_directory(own) != 0)
        return bx_fail(err, ENOENT, "cannot find the programs of bioxen: is /proc mounted?");
    if (find_beside(own, places) == 0 || (library_directory(library) == 0 && find_beside(library, places) == 0))
        return 0;
    return bx_fail(
        err, ENOENT,
        "bioxend and bioxen-jailer are neither in %s nor in ../libexec/bioxen beside it: install bioxen again", own);
}

/* Those of the directory that the caller names, or those that belong to us. */
static int find(const char *directory, struct places *places, struct bx_error *err)
{
    if (directory == NULL)
        return find_programs(places, err);
    if (find_in(directory, "", places) == 0)
        return 0;
    return bx_fail(err, ENOENT, "bioxend and bioxen-jailer are not in %s, or cannot be executed", directory);
}

/*
 * Between vfork and exec, in the parent's memory: system calls only. dup2 to its place also clears a descriptor's
 * close-on-exec; all sources are 10 or above, so that no place is taken before it was read. A session of
 * its own keeps a
 * terminal's Ctrl-C away from the daemon.
 */
static void become(const char *path, char *const argv[], const int *fds, unsigned count) __attribute__((noreturn));
static void become(const char *path, char *const argv[], const int *fds, unsigned count)
{
    char *const environment[] = {NULL};
    setsid();
    for (unsigned i = 0; i < count; i++)
        if (dup2(fds[i], (int)(FIRST_FD + i)) < 0)
            _exit(START_FAILED);
    execve(path, argv, environment);
    _exit(START_FAILED);
}

/*
 * vfork, because posix_spawn resets the action of every signal one by one: a tenth of a start-up. All
 * signals are blocked
 * meanwhile, so that no handler of the program runs in the child, and the daemon unblocks them itself.
 * A daemon that cannot be executed is noticed by its sockets' end of file.
 */
static int start(const char *path, char *const argv[], const int *fds, unsigned count, pid_t *pid)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = vfork();
    if (child == 0)
        become(path, argv, fds, count);
    int failed = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *pid = child;
    return child < 0 ? -failed : 0;
}

static int high_pair(int pair[2])
{
    int rc = bx_socketpair(pair);
    for (int i = 0; i < 2 && rc == 0; i++) {
        int high = fcntl(pair[i], F_DUPFD_CLOEXEC, 10);
        if (high < 0)
            rc = -errno;
        close(pair[i]);
        pair[i] = high;
    }
    return rc;
}

static int start_both(const struct places *places, const int control[2], const int link[2], struct launched *out)
{
    char *const jailer_argv[] = {"bioxen-jailer", "--link-fd", "3", NULL};
    char *const orchestrator_argv[] = {"bioxend", "--control-fd", "3", "--jailer-fd", "4", NULL};
    const int orchestrator_fds[] = {control[1], link[0]};
    int rc = start(places->jailer, jailer_argv, &link[1], 1, &out->jailer);
    if (rc != 0)
        return rc;
    return start(places->orchestrator, orchestrator_argv, orchestrator_fds, 2, &out->orchestrator);
}

int launch_daemons(const char *directory, struct launched *out, struct bx_error *err)
{
    struct places places;
    int rc = find(directory, &places, err);
    if (rc != 0)
        return rc;
    *out = (struct launched){.control_fd = -1};
    int control[2] = {-1, -1}, link[2] = {-1, -1};
    rc = high_pair(control);
    if (rc == 0)
        rc = high_pair(link);
    if (rc == 0)
        rc = start_both(&places, control, link, out);
    bx_close_all(link, 2);
    bx_close_all(&control[1], 1);
    if (rc == 0) {
        out->control_fd = control[0];
        return 0;
    }
    bx_close_all(&control[0], 1);
    launch_wait(out);
    return bx_fail_errno(err, -rc, "cannot start the orchestrator");
}

int launch_doctor(int *fd, pid_t *pid, struct bx_error *err)
{
    struct places places;
    int pair[2] = {-1, -1};
    char *const argv[] = {"bioxen-jailer", "--doctor-fd", "3", NULL};
    int rc = find(NULL, &places, err);
    if (rc != 0)
        return rc;
    rc = high_pair(pair);
    if (rc == 0)
        rc = start(places.jailer, argv, &pair[1], 1, pid);
    bx_close_all(&pair[1], 1);
    if (rc == 0) {
        *fd = pair[0];
        return 0;
    }
    bx_close_all(&pair[0], 1);
    return bx_fail_errno(err, -rc, "cannot start bioxen-jailer");
}

static void wait_one(pid_t pid)
{
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void launch_wait(const struct launched *launched)
{
    wait_one(launched->orchestrator);
    wait_one(launched->jailer);
}
