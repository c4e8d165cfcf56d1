/*
 * run_signals.c - Ctrl-C and its like: before the VM exists they end the process, afterwards they wake the
 * loop, which ends the VM first.
 *
 * SIGINT and SIGTERM are taken even when they came ignored, as a shell does to jobs in the background:
 * somebody who sends one means it. An ignored SIGHUP is left alone, because that is what nohup asks for.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "run.h"

/*
 * From this signal on there is no more patience: whatever holds us up, the process ends, and with it (by
 * end of file) everything that it started.
 */
#define IMPATIENT 3

static volatile sig_atomic_t first_signal, signal_count, wake_fd = -1;

static void on_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    signal_count = signal_count + 1;
    if (first_signal == 0)
        first_signal = number;
    if (wake_fd < 0 || signal_count >= IMPATIENT)
        _exit(128 + number);
    ssize_t ignored = write(wake_fd, &one, sizeof one);
    (void)ignored;
    errno = saved;
}

void run_signals_install(void)
{
    struct sigaction action = {.sa_handler =
                                   on_signal}; /* no SA_RESTART: a write that blocks must be interrupted */
    struct sigaction old;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, &action, &old) == 0 && old.sa_handler == SIG_IGN)
        sigaction(SIGHUP, &old, NULL);
}

void run_signals_ignore_pipe(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int run_signals_arm(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    wake_fd = fd;
    return fd;
}

int run_signals_caught(void)
{
    uint64_t count;
    if (first_signal == 0)
        return 0;
    ssize_t ignored = read(wake_fd, &count, sizeof count);
    (void)ignored;
    return first_signal;
}

void run_signals_forget(void)
{
    signal_count = 0;
    first_signal = 0;
}
