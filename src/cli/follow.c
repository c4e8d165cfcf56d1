/* follow.c - waits for events and for signals at once. */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "run.h"

int follow_arm(void)
{
    run_signals_install();
    int fd = run_signals_arm();
    if (fd < 0)
        cli_say("cannot watch for signals: %s", strerror(-fd));
    return fd;
}

int follow_next(bioxen_manager *manager, int wake_fd, int timeout_ms, struct bioxen_event *event)
{
    struct pollfd ready[2] = {{.fd = bioxen_fd(manager), .events = POLLIN},
                              {.fd = wake_fd, .events = POLLIN}};
    struct bioxen_error err;
    for (;;) {
        if (run_signals_caught() != 0)
            return 0;
        int rc = bioxen_next(manager, event, 0, &err);
        if (rc == 1)
            return 1;
        if (rc < 0 && rc != -EINTR) {
            cli_say("%s", err.text);
            return -1;
        }
        if (rc == 0 && poll(ready, 2, timeout_ms) == 0) {
            event->type = 0;
            return 1;
        }
    }
}

int follow_cannot_print(void)
{
    if (errno == EPIPE)
        return 128 + SIGPIPE;
    cli_say("cannot write to standard output: %s", strerror(errno));
    return CLI_HOST;
}
