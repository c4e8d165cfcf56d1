/*
 * cmd_daemon.c - bioxen daemon: an orchestrator for clients that come and go. This process owns it: whatever ends this
 * process ends everything. It reads nothing that clients or VMs say.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "run.h"

struct request {
    const char *socket;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)number;
    ((struct request *)context)->socket = text;
    return 0;
}

/* Its own events are none of our business, but its end is. Returns CLI_OK when we are told to end. */
static int follow(bioxen_manager *manager, int wake_fd)
{
    struct bioxen_event event;
    struct bioxen_error err;
    struct pollfd ready[2] = {{.fd = bioxen_fd(manager), .events = POLLIN},
                              {.fd = wake_fd, .events = POLLIN}};
    while (run_signals_caught() == 0) {
        int rc = bioxen_next(manager, &event, 0, &err);
        if (rc < 0 && rc != -EINTR) {
            cli_say("daemon: %s", err.text);
            return CLI_HOST;
        }
        if (rc == 0)
            (void)poll(ready, 2, -1);
    }
    return CLI_OK;
}

static int serve(bioxen_manager *manager, const struct daemon_socket *socket)
{
    struct bioxen_error err;
    int wake_fd = run_signals_arm();
    if (wake_fd < 0) {
        cli_say("cannot watch for signals: %s", strerror(-wake_fd));
        return CLI_HOST;
    }
    int status = CLI_HOST;
    if (bioxen_listen(manager, socket->fd, &err) != 0) {
        cli_say("daemon: %s", err.text);
    } else {
        cli_say("daemon: serving at %s", socket->path);
        status = follow(manager, wake_fd);
    }
    return status;
}

/* The orchestrator is started first: should it not start, there never was a socket. */
static int be_daemon(const char *path)
{
    bioxen_manager *manager = NULL;
    struct daemon_socket socket;
    struct bioxen_error err;
    run_signals_install();
    if (bioxen_open(&manager, &err) < 0) {
        cli_say("%s", err.text);
        return CLI_HOST;
    }
    run_signals_ignore_pipe();
    int status = daemon_socket_open(&socket, path);
    if (status == CLI_OK)
        status = serve(manager, &socket);
    daemon_socket_close(&socket); /* whoever comes now finds no daemon, and not one that is about to end */
    bioxen_close(manager);
    return status;
}

static const struct cli_option options[] = {
    {.id = 256,
     .name = "socket",
     .kind = CLI_FILE,
     .value = "PATH",
     .help = "where it listens; else $BIOXEN_SOCKET, /run/bioxen.sock (root), $XDG_RUNTIME_DIR/bioxen.sock"},
};

static int run_daemon(int argc, char **argv)
{
    struct request request = {NULL};
    char path[BIOXEN_SOCKET_PATH_MAX];
    int next;
    enum cli_parsed parsed = cli_parse_options(&verb_daemon, argc, argv, take_option, &request, &next);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    if (next != argc) {
        cli_say("daemon: unexpected argument '%s' (see 'bioxen daemon --help')", argv[next]);
        return CLI_USAGE;
    }
    int status = daemon_path(request.socket, path);
    return status == CLI_OK ? be_daemon(path) : status;
}

const struct cli_verb verb_daemon = {
    .name = "daemon",
    .arguments = "[--socket PATH]",
    .summary = "Serve on a socket path, for clients that come and go",
    .details =
        "Runs in the foreground until SIGTERM, SIGINT or SIGHUP; then everything that it runs ends, and the socket is\n"
        "removed. Only its own user and root are served. A socket that a dead daemon left is replaced.\n"
        "\n"
        "Exit status: 0 when it was told to end, 2 wrong usage, 125 when it could not serve (another daemon does,\n"
        "for example), or was cut short.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_daemon,
};
