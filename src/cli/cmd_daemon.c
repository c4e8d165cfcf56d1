/* cmd_daemon.c - bioxen daemon: an orchestrator for clients that come and go. */
#include "daemon.h"

struct request {
    const char *socket;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)number;
    ((struct request *)context)->socket = text;
    return 0;
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
    return status == CLI_OK ? daemon_serve(path, false, -1) : status;
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
