/*
 * doctor.c - the doctor mode of the jailer: tries each thing that a jail needs by doing it, and says what it saw.
 *
 * Every trial is a child in a process group of its own, with a deadline; its descendants are adopted and killed
 * when it is over, so that nothing stays behind and a trial that hangs is a finding and no hang. It never serves
 * requests, never runs a script, and changes nothing of the host.
 */
#include "jailer/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A trial takes milliseconds; the slowest, on a loaded machine, less than a second. */
#define TRIAL_SECONDS 3
/* How long a killed trial may take to go. A process that the kernel holds longer is reported and left to it. */
#define REAP_MS 2000
/* All trials together, each at its deadline. */
#define EXAMINATION_SECONDS 300

/* ---- what trials use ---- */

int doctor_fail(struct doctor_try *try, int code, const char *step, ...)
{
    va_list args;
    va_start(args, step);
    vsnprintf(try->step, sizeof try->step, step, args);
    va_end(args);
    try->code = code;
    return -code;
}

void doctor_note(struct doctor_try *try, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(try->note, sizeof try->note, format, args);
    va_end(args);
}

void doctor_cause(struct doctor_try *try, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(try->cause, sizeof try->cause, format, args);
    va_end(args);
}

void doctor_fix(struct doctor_try *try, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(try->fix, sizeof try->fix, format, args);
    va_end(args);
}

pid_t doctor_fork(unsigned long flags)
{
    pid_t parent = getpid();
    /* The argument order of clone differs between architectures only where these are zero. */
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if ((flags & CLONE_NEWPID) == 0 && getppid() != parent)
            _exit(1); /* it died before the line above */
    }
    return pid < 0 ? -errno : (pid_t)pid;
}

int doctor_wait(struct doctor_try *try, pid_t pid, const char *step)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return doctor_fail(try, errno, "%s", step);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (try->code != 0)
        return -try->code; /* the child noted it itself */
    return doctor_fail(try, WIFEXITED(status) ? WEXITSTATUS(status) : EIO, "%s", step);
}

int doctor_write(const char *path, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = write(fd, text, (size_t)length) == length ? 0 : -errno;
    close(fd);
    return rc;
}

int doctor_read(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, out, size - 1);
    int rc = length < 0 ? -errno : 0;
    close(fd);
    if (rc != 0)
        return rc;
    if (length > 0 && out[length - 1] == '\n')
        length--;
    out[length] = '\0';
    return 0;
}

long doctor_number(const char *path)
{
    char text[64];
    char *end;
    if (doctor_read(path, text, sizeof text) != 0)
        return -1;
    long number = strtol(text, &end, 10);
    return end != text && *end == '\0' ? number : -1;
}

int doctor_become_root(const struct doctor_host *host, struct doctor_try *try)
{
    if (host->privileged)
        return 0;
    if (unshare(CLONE_NEWUSER) != 0)
        return doctor_fail(try, errno, "a user namespace");
    int rc = doctor_write("/proc/self/setgroups", "deny");
    if (rc == 0)
        rc = doctor_write("/proc/self/uid_map", "0 %u 1", host->uid);
    if (rc == 0)
        rc = doctor_write("/proc/self/gid_map", "0 %u 1", host->gid);
    return rc == 0 ? 0 : doctor_fail(try, -rc, "the map of one's own uid and gid");
}

/* ---- running one trial ---- */

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

/* Reaps whatever ended; true when `pid` was among them, or no child is left. */
static bool reap(pid_t pid)
{
    pid_t got;
    bool gone = false;
    while ((got = waitpid(-1, NULL, WNOHANG)) > 0)
        gone = gone || got == pid;
    return gone || (got < 0 && errno == ECHILD);
}

/* Waits for SIGCHLD (blocked) until `pid` (0: every child) is gone. False when the time is up first. */
static bool wait_gone(pid_t pid, long deadline)
{
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    while (!reap(pid)) {
        long left = deadline - now_ms();
        if (left <= 0)
            return false;
        struct timespec timeout = {left / 1000, left % 1000 * 1000000};
        sigtimedwait(&chld, NULL, &timeout);
    }
    return true;
}

static void child_main(const struct doctor_host *host, const struct doctor_trial *trial,
                       struct doctor_try *try)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); /* a group to kill, and no terminal */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    trial->run(host, try);
    try->reported = 1;
    _exit(0);
}

/* Runs a trial in a child and everything of it into the ground. The result is in *try. */
static void run_trial(const struct doctor_host *host, const struct doctor_trial *trial,
                      struct doctor_try *try)
{
    memset(try, 0, sizeof *try);
    pid_t pid = fork();
    if (pid == 0)
        child_main(host, trial, try);
    if (pid < 0) {
        doctor_fail(try, errno, "a process");
        return;
    }
    bool ended = wait_gone(pid, now_ms() + TRIAL_SECONDS * 1000L);
    if (!ended)
        kill(pid, SIGKILL);
    /* Descendants are adopted (subreaper); those that made a process group of their own were killed with
     * the first process of their pid namespace. */
    kill(-pid, SIGKILL);
    bool clean = wait_gone(0, now_ms() + REAP_MS);
    if (!ended || !clean)
        doctor_fail(try, ETIMEDOUT, "%s", ended ? "the end of its processes" : "the trial within 3 seconds");
    else if (!try->reported)
        doctor_fail(try, EIO, "the trial, which died");
}

/* ---- findings ---- */

static int send_record(int fd, struct doctor_record *record)
{
    record->magic = DOCTOR_MAGIC;
    return send(fd, record, sizeof *record, MSG_NOSIGNAL) == sizeof *record ? 0 : -EPIPE;
}

static void text_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static void describe(const struct doctor_host *host, const struct doctor_trial *trial, struct doctor_try *try,
                     struct doctor_record *out)
{
    memset(out, 0, sizeof *out);
    out->type = DOCTOR_FINDING;
    out->status = (uint8_t)try->status;
    out->required = trial->required;
    text_copy(out->id, sizeof out->id, trial->id);
    text_copy(out->title, sizeof out->title, trial->title);
    text_copy(out->needed_by, sizeof out->needed_by, trial->needed_by);
    text_copy(out->note, sizeof out->note, try->note);
    if (try->code != 0) {
        out->status = (uint8_t)trial->fails_as;
        if (try->cause[0] == '\0')
            doctor_diagnose(host, trial, try);
    }
    text_copy(out->cause, sizeof out->cause, try->cause);
    text_copy(out->fix, sizeof out->fix, try->fix);
}

static bool applies(const struct doctor_host *host, const struct doctor_trial *trial)
{
    return trial->when == ALWAYS || (trial->when == PRIVILEGED) == host->privileged;
}

static int run_table(const struct doctor_host *host, const struct doctor_trial *table,
                     struct doctor_try *shared, int fd)
{
    for (const struct doctor_trial *trial = table; trial->id != NULL; trial++) {
        struct doctor_record record;
        if (!applies(host, trial))
            continue;
        run_trial(host, trial, shared);
        struct doctor_try result = *shared; /* what a stray descendant writes now changes nothing any more */
        describe(host, trial, &result, &record);
        int rc = send_record(fd, &record);
        if (rc != 0)
            return rc; /* nobody listens any more */
    }
    return 0;
}

/* ---- the mode ---- */

static void find_program_dir(struct doctor_host *host)
{
    ssize_t length = readlink("/proc/self/exe", host->program_dir, sizeof host->program_dir - 1);
    host->program_dir[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(host->program_dir, '/');
    if (slash != NULL)
        *slash = '\0';
}

static void find_host(struct doctor_host *host, struct doctor_try *shared)
{
    static const struct doctor_trial privilege = {.id = "privilege", .run = doctor_try_privilege};
    memset(host, 0, sizeof *host);
    run_trial(host, &privilege, shared);
    host->privileged = shared->status == 1;
    host->uid = getuid();
    host->gid = getgid();
    find_program_dir(host);
}

static int run_all(const struct doctor_host *host, struct doctor_try *shared, int fd)
{
    const struct doctor_trial *const tables[] = {
        doctor_jail_trials,
        doctor_process_trials,
        doctor_limit_trials,
        doctor_net_trials,
    };
    struct doctor_record record = {.type = DOCTOR_HELLO, .privileged = host->privileged};
    int rc = send_record(fd, &record);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && rc == 0; i++)
        rc = run_table(host, tables[i], shared, fd);
    if (rc != 0)
        return rc;
    memset(&record, 0, sizeof record);
    record.type = DOCTOR_DONE;
    return send_record(fd, &record);
}

/* In a child, because the sandbox makes a namespace of its caller's. A trial that was killed has nobody else. */
static void sweep(const struct doctor_host *host)
{
    pid_t pid = fork();
    if (pid == 0) {
        doctor_sweep(host);
        _exit(0);
    }
    if (pid > 0 && !wait_gone(pid, now_ms() + TRIAL_SECONDS * 1000L)) {
        kill(pid, SIGKILL);
        wait_gone(pid, now_ms() + REAP_MS);
    }
}

static int examine(int fd, pid_t waiting)
{
    struct doctor_host host;
    struct doctor_try *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return 1;
    find_host(&host, shared);
    int rc = run_all(&host, shared, fd);
    if (getppid() != waiting)
        sweep(&host); /* nobody waits any more */
    return rc == 0 ? 0 : 1;
}

/*
 * Two processes: one examines, the other waits to clean up after it. Whichever is killed, the other does so; what the
 * one that examines had started becomes a child of the one that waits, and dies by its parent-death signal.
 */
int doctor_main(int fd)
{
    struct doctor_host host = {0};
    sigset_t chld;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* as when it serves */
    signal(SIGCHLD, SIG_DFL);               /* ignored, as a caller may have it, it would not be sent */
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    find_program_dir(&host);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return 1;
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0)
        _exit(examine(fd, self));
    close(fd);
    if (pid < 0)
        return 1;
    wait_gone(0, now_ms() + EXAMINATION_SECONDS * 1000L);
    sweep(&host);
    return 0;
}
