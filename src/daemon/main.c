/*
 * main.c - bioxend, the orchestrator: parses what strangers say, decides, and holds no privilege.
 *
 * Usage: bioxend --control-fd N --jailer-fd N. It is started by libbioxen, not by hand. It lives as long as its
 * client: the end of the control socket ends it, and its own end ends the jailer and every VM.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/lock.h"
#include "common/startup.h"
#include "manager.h"

enum { EXIT_FAILED = 125 };

static int die(const char *text)
{
    fprintf(stderr, "bioxend: %s\n", text);
    return EXIT_FAILED;
}

static void ignore_signals(void)
{
    /* Its life hangs on the control socket alone. */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

/* Gives up every privilege, then every system call that the work below does not need. */
static int become_harmless(void)
{
    char why[200];
    bool root = geteuid() == 0;
    uid_t uid = root ? startup_private_uid(getpid()) : getuid();
    gid_t gid = root ? (gid_t)uid : getgid();
    if (chdir("/") != 0 || sb_lock_drop(uid, gid, why, sizeof why) != 0)
        return die(why);
    prctl(PR_SET_DUMPABLE, 0);
    return sb_lock_filter(SB_FILTER_ORCHESTRATOR) == 0 ? 0 : die("cannot install its syscall filter");
}

int main(int argc, char **argv)
{
    int fds[2];
    static const char *const options[] = {"--control-fd", "--jailer-fd"};
    if (startup_fds(argc, argv, options, 2, fds) != 0)
        return die("started without its sockets: use bioxen, which starts it");
    ignore_signals();
    if (become_harmless() != 0)
        return EXIT_FAILED;
    struct manager manager;
    struct bx_error err = {0};
    int rc = manager_init(&manager, fds[0], fds[1], &err);
    if (rc == 0)
        rc = bx_loop_run(&manager.loop);
    if (rc != 0)
        return die(err.code != 0 ? err.text : strerror(-rc));
    manager_fini(&manager);
    return 0;
}
