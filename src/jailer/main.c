/*
 * main.c - bioxen-jailer, the privileged hand: makes jails for bioxend and takes the dead.
 *
 * Usage: bioxen-jailer --link-fd 3, started by libbioxen; or --doctor-fd 3, which tries what a jail needs and
 * ends. It reads fixed-size requests and the kernel's files, and nothing else: no script, no configuration,
 * no byte of a client. Its life hangs on the link: when that ends, everything that it made ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/startup.h"
#include "doctor.h"
#include "jailer.h"

#define PROGRAM "bioxen-vm"

enum { EXIT_FAILED = 125 };

/* What a stranger put into the environment, or a secret of the caller's, is not even in memory. */
static void forget_environment(void)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++)
        memset(*variable, 0, strlen(*variable));
    environ = NULL;
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE, SIGUSR1,
                                  SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

/* A pipe that leads nowhere: a host whose /dev/null is missing is to hear that by a message. */
int streams_leave(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    int rc = dup2(ends[0], 0) == 0 && dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2 ? 0 : -1;
    for (int i = 0; i < 2; i++)
        if (ends[i] > 2)
            close(ends[i]);
    return rc;
}

/* The VM's program lies beside this one. It is opened once, and run by its descriptor. */
static int open_program(struct sb_error *err)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof PROGRAM);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (slash != NULL)
        memcpy(slash + 1, PROGRAM, sizeof PROGRAM);
    int fd = slash != NULL ? open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW) : -1;
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    *err = (struct sb_error){.code = ENOENT,
                             .text = PROGRAM " is not beside bioxen-jailer: install bioxen again"};
    return -ENOENT;
}

static int open_loop(struct jailer *jailer, int link)
{
    int rc = bx_loop_init(&jailer->loop);
    if (rc == 0)
        rc = timers_open(jailer);
    if (rc == 0 && jailer->janitor.pid > 0)
        rc = janitor_watch(jailer);
    jailer->link.on_ready = jailer_on_link;
    return rc == 0 ? bx_loop_add(&jailer->loop, &jailer->link, link, EPOLLIN) : rc;
}

/* As little as possible comes before the fork: from then on two processes work. */
static int begin(struct jailer *jailer, struct sb_error *err)
{
    int rc = sb_host_begin(&jailer->host, err);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return rc == 0 ? prepare_begin(jailer, err) : rc;
}

static int finish(struct jailer *jailer, struct sb_error *err)
{
    int program = open_program(err);
    int rc = program >= 0 ? sb_host_settle(&jailer->host, program, err) : program;
    return rc == 0 ? janitor_take_over(jailer, err) : rc;
}

/* It may have been killed between making the first cgroup and handing it over. */
static void clean_after_janitor(struct jailer *jailer)
{
    sb_host_unpark(&jailer->host);
    if (jailer->host.cgroups.owner == 0)
        sb_host_find_cgroups(&jailer->host);
    sb_host_sweep(&jailer->host, getpid());
}

static int serve(int link)
{
    static struct jailer jailer = {
        .link = {.fd = -1}, .timers = {.fd = -1}, .janitor = {.dead = {.fd = -1}, .socket = -1}};
    fabric_init(&jailer.fabric);
    int started = begin(&jailer, &jailer.start_error);
    policy_init(&jailer.policy);
    int rc = streams_leave() == 0 ? open_loop(&jailer, link) : -EIO;
    /* Of two failures the first is told. What the janitor made is taken over all the same, to be removed. */
    struct sb_error later;
    if (rc == 0 && jailer.janitor.pid > 0)
        finish(&jailer, started == 0 ? &jailer.start_error : &later);
    if (rc == 0)
        rc = bx_loop_run(&jailer.loop);
    if (jailer.broken)
        clean_after_janitor(&jailer);
    janitor_stop(&jailer);
    fabric_fini(&jailer.fabric);
    sb_host_fini(&jailer.host);
    janitor_reap(&jailer);
    return rc == 0 ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    static const char *const link_option[] = {"--link-fd"}, *const doctor_option[] = {"--doctor-fd"};
    int fd;
    /* The doctor goes on where only close_range is refused: that is one of its findings. */
    if (argc > 1 && strcmp(argv[1], doctor_option[0]) == 0 &&
        startup_fds(argc, argv, doctor_option, 1, &fd) != -EINVAL)
        return doctor_main(fd);
    if (startup_fds(argc, argv, link_option, 1, &fd) != 0) {
        fprintf(stderr, "bioxen-jailer: started without its socket: use bioxen, which starts it\n");
        return EXIT_FAILED;
    }
    forget_environment();
    ignore_signals();
    return serve(fd);
}
