/*
 * doctor_process.c - tries what the jailer does with processes: to start one from a descriptor, to follow it, to
 * bound its CPU time, to be sure of its end, and to lock it.
 */
#include "jailer/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/lock.h"

/* What must happen at once may take this long on a loaded machine. */
#define PATIENCE_MS 2000

static int wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int count = poll(&poll_fd, 1, PATIENCE_MS);
    return count > 0 ? 0 : count == 0 ? -ETIMEDOUT : -errno;
}

/* ---- making and following a process ---- */

static int try_clone3(const struct doctor_host *host, struct doctor_try *try)
{
    int pidfd = -1;
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
    (void)host;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return doctor_fail(try, errno, "clone3");
    int rc = doctor_wait(try, (pid_t)pid, "clone3");
    return rc != 0 || pidfd >= 0 ? rc : doctor_fail(try, EIO, "clone3 with a pidfd");
}

static int try_pidfd(const struct doctor_host *host, struct doctor_try *try)
{
    siginfo_t info = {0};
    (void)host;
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        for (;;)
            pause();
    if (pid < 0)
        return doctor_fail(try, -pid, "a process");
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return doctor_fail(try, errno, "pidfd_open");
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0)
        return doctor_fail(try, errno, "pidfd_send_signal");
    int rc = wait_readable(pidfd);
    if (rc != 0)
        return doctor_fail(try, -rc, "polling a pidfd");
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0)
        return doctor_fail(try, errno, "waitid on a pidfd");
    return info.si_status == SIGKILL ? 0 : doctor_fail(try, EIO, "a kill by a pidfd");
}

static int try_close_range(const struct doctor_host *host, struct doctor_try *try)
{
    (void)host;
    int fd = dup(STDERR_FILENO);
    if (fd < 0)
        fd = open("/", O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_close_range, (unsigned)fd, ~0u, 0) != 0)
        return doctor_fail(try, errno, "close_range");
    return fcntl(fd, F_GETFD) < 0 ? 0 : doctor_fail(try, EIO, "close_range, which left a descriptor open");
}

/* ---- the VM's program ---- */

static void exec_vm(int program, int report)
{
    char *const argv[] = {(char[]){"bioxen-vm"}, (char[]){"restricted"}, NULL};
    char *const envp[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    int code = errno;
    if (write(report, &code, sizeof code) < 0)
        _exit(1);
    _exit(0);
}

int doctor_open_vm(const struct doctor_host *host, struct doctor_try *try)
{
    char path[sizeof host->program_dir + 16];
    snprintf(path, sizeof path, "%s/bioxen-vm", host->program_dir);
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    doctor_cause(try, "%.200s: %s: the installation is incomplete", path, strerror(errno));
    doctor_fix(try, "sudo make install");
    return doctor_fail(try, errno, "opening bioxen-vm");
}

/* The pipe closes on exec: its end without a word is success. */
static int try_execveat(const struct doctor_host *host, struct doctor_try *try)
{
    int code = 0, report[2];
    int program = doctor_open_vm(host, try);
    if (program < 0)
        return program;
    if (pipe2(report, O_CLOEXEC) != 0)
        return doctor_fail(try, errno, "a pipe");
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        exec_vm(program, report[1]);
    close(report[1]);
    if (pid < 0)
        return doctor_fail(try, -pid, "a process");
    if (read(report[0], &code, sizeof code) == 0)
        return 0;
    if (code == EACCES) {
        doctor_cause(
            try, "bioxen-vm may not be executed: its mode, or a file system that is mounted noexec (%.150s)",
            host->program_dir);
        doctor_fix(try, "sudo mount -o remount,exec \"$(stat -c %%m '%.200s')\"", host->program_dir);
    }
    return doctor_fail(try, code, "execveat of bioxen-vm");
}

/* ---- the end of the parent ---- */

static void orphan_main(pid_t parent, int alive)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || write(alive, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void parent_main(int alive[2])
{
    char byte;
    pid_t self = getpid();
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        orphan_main(self, alive[1]);
    close(alive[1]);
    _exit(pid > 0 && read(alive[0], &byte, 1) == 1 ? 0 : EIO);
}

static int try_pdeathsig(const struct doctor_host *host, struct doctor_try *try)
{
    int alive[2];
    char byte;
    (void)host;
    if (pipe2(alive, O_CLOEXEC) != 0)
        return doctor_fail(try, errno, "a pipe");
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        parent_main(alive);
    close(alive[1]);
    if (pid < 0)
        return doctor_fail(try, -pid, "a process");
    int rc = doctor_wait(try, pid, "a process with a child");
    if (rc == 0)
        rc = wait_readable(alive[0]); /* end of file: the grandchild is gone */
    if (rc == 0 && read(alive[0], &byte, 1) != 0)
        rc = -EIO;
    return rc == 0 ? 0 : doctor_fail(try, -rc, "the death of a process whose parent died");
}

/* ---- the filter: both of its answers, with the program that a VM gets ---- */

/* The run-time library of a sanitizer cannot live behind the filter: these two go without it. */
#define BEHIND_FILTER __attribute__((no_sanitize_address))

BEHIND_FILTER static void on_sigsys(int signal_number)
{
    (void)signal_number;
    sb_lock_die();
}

BEHIND_FILTER static void locked_main(bool accident)
{
    struct sigaction action = {.sa_handler = on_sigsys};
    sigaction(SIGSYS, &action, NULL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(errno);
    int rc = sb_lock_filter(SB_FILTER_RESTRICTED);
    if (rc != 0)
        _exit(-rc);
    if (accident)
        _exit(syscall(SYS_getppid) == -1 && errno == EPERM ? 0 : EIO);
    syscall(SYS_unshare, CLONE_NEWUSER);
    _exit(0); /* the call above was let through, and nothing killed us */
}

static int try_filter(const struct doctor_host *host, struct doctor_try *try)
{
    int status;
    (void)host;
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        locked_main(true);
    if (pid < 0)
        return doctor_fail(try, -pid, "a process");
    int rc = doctor_wait(try, pid, "the seccomp filter of a VM");
    if (rc != 0)
        return rc;
    pid = doctor_fork(0);
    if (pid == 0)
        locked_main(false);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return doctor_fail(try, errno, "a process");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return 0;
    return doctor_fail(try, EIO, "death by SIGSYS of a process that called what it may not");
}

/* ---- CPU time ---- */

static void spin(void)
{
    for (volatile unsigned long i = 0;; i = i + 1)
        ;
}

static int arm_timer(pid_t pid)
{
    clockid_t clock;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec spec = {.it_value = {.tv_nsec = 20 * 1000 * 1000}};
    int rc = clock_getcpuclockid(pid, &clock);
    if (rc != 0)
        return -rc;
    if (timer_create(clock, &event, &timer) != 0 || timer_settime(timer, 0, &spec, NULL) != 0)
        return -errno;
    return 0;
}

static int try_cpu_timer(const struct doctor_host *host, struct doctor_try *try)
{
    sigset_t set;
    struct timespec patience = {.tv_sec = PATIENCE_MS / 1000};
    (void)host;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t pid = doctor_fork(0);
    if (pid == 0)
        spin();
    if (pid < 0)
        return doctor_fail(try, -pid, "a process");
    int rc = arm_timer(pid);
    if (rc != 0)
        doctor_fail(try, -rc, "a timer on the CPU clock of another process");
    else if (sigtimedwait(&set, NULL, &patience) != SIGUSR1)
        rc = doctor_fail(try, ETIMEDOUT, "a timer on the CPU clock of another process, in time");
    kill(pid, SIGKILL);
    return rc;
}

#define RUN "bioxen run"

const struct doctor_trial doctor_process_trials[] = {
    {"clone3", "clone3", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_clone3},
    {"pidfd", "pidfd: signal, poll, wait", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_pidfd},
    {"close-range", "close_range", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_close_range},
    {"execveat", "execveat of bioxen-vm", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_execveat},
    {"pdeathsig", "death with the parent", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_pdeathsig},
    {"seccomp", "seccomp filter of a VM", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_filter},
    {"cpu-timer", "timer on the CPU clock of a process", "--cpu-time", false, DOCTOR_MISSING, ALWAYS, NULL,
     NULL, try_cpu_timer},
    {0},
};
