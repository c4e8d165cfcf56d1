/*
 * main.c - bioxend, the orchestrator: parses what strangers say, decides, and holds no privilege.
 *
 * Usage: bioxend --control-fd N --jailer-fd N. It is started by libbioxen, not by hand. It lives as long as its
 * owner: the end of the control socket ends it, and its own end ends the jailer and every VM.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/lock.h"
#include "common/control.h"
#include "common/socket.h"
#include "common/startup.h"
#include "manager.h"

enum { EXIT_FAILED = 125 };

static void ignore_signals(void)
{
    /* Its life hangs on the control socket alone. */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

/*
 * A uid of its own, where the caller is root in full. Root of a user namespace, or without the powers to
 * change ids, counts as
 * an ordinary user: then the ids stay, and whatever capabilities there are go all the same.
 */
static int drop_privileges(char *why, size_t size)
{
    uid_t uid = startup_private_uid(getpid());
    if (geteuid() == 0 && sb_lock_drop(uid, (gid_t)uid, why, size) == 0)
        return 0;
    return sb_lock_drop(getuid(), getgid(), why, size);
}

/* Each VM takes three or four, and a thousand VMs are nothing unusual. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Gives up every privilege, then every system call that the work below does not need. */
static int become_harmless(struct bx_error *err)
{
    char why[200];
    if (chdir("/") != 0)
        return bx_fail_errno(err, errno, "the orchestrator cannot enter /");
    if (drop_privileges(why, sizeof why) != 0)
        return bx_fail(err, EPERM, "the orchestrator cannot drop its privileges: %s", why);
    prctl(PR_SET_DUMPABLE, 0);
    raise_descriptor_limit();
    int rc = sb_lock_filter(SB_FILTER_ORCHESTRATOR);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "the orchestrator cannot install its syscall filter");
}

/* Nothing is printed: whoever started us learns it over the control socket, and says it in its own way. */
static int tell(int control_fd, const struct bx_error *err)
{
    char frame[CTL_NOTE_MAX];
    struct ctl_note note = {.number = (uint32_t)err->code, .text = err->text, .length = (uint32_t)strlen(err->text)};
    struct iovec part = {frame, ctl_encode_note(CTL_ERROR, 0, &note, frame)};
    bx_send(control_fd, &part, 1, NULL, 0);
    return EXIT_FAILED;
}

static int serve(const int fds[2], uid_t user, struct bx_error *err)
{
    struct manager manager;
    int rc = manager_init(&manager, fds[0], fds[1], err);
    if (rc != 0)
        return rc;
    manager.user = user;
    rc = bx_loop_run(&manager.loop);
    manager_fini(&manager);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "the orchestrator's event loop");
}

int main(int argc, char **argv)
{
    int fds[2];
    static const char *const options[] = {"--control-fd", "--jailer-fd"};
    if (startup_fds(argc, argv, options, 2, fds) != 0) {
        fprintf(stderr, "bioxend: started without its sockets: use bioxen, which starts it\n");
        return EXIT_FAILED;
    }
    ignore_signals();
    const uid_t user = getuid(); /* before that is given up */
    struct bx_error err = {0};
    if (become_harmless(&err) != 0 || serve(fds, user, &err) != 0)
        return tell(fds[0], &err);
    return 0;
}
