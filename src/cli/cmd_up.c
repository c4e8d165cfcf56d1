/*
 * cmd_up.c - bioxen up: makes what is there into what a topology file says. In the foreground it owns the orchestrator,
 * so that nothing outlives it; with -d a daemon does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "run.h"
#include "up.h"

enum { OPT_DETACH = 'd', OPT_WAIT = 256, OPT_DRY_RUN };

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct up *up = context;
    if (option->id == OPT_DETACH)
        up->detach = true;
    else if (option->id == OPT_WAIT)
        up->flags |= BIOXEN_UP_WAIT;
    else if (option->id == OPT_DRY_RUN)
        up->flags |= BIOXEN_UP_DRY_RUN;
    else
        return remote_take_option(option, text, number, &up->remote);
    return 0;
}

/* ---- the orchestrator ---- */

static int open_private(struct up *up)
{
    struct bioxen_error err;
    if (bioxen_open(&up->remote.manager, &err) == 0) {
        run_signals_ignore_pipe();
        return CLI_OK;
    }
    cli_say("%s", err.text);
    return CLI_HOST;
}

/* The daemon; one is started where there is none. */
static int open_daemon(struct up *up)
{
    char path[BIOXEN_SOCKET_PATH_MAX];
    struct bioxen_error err;
    int status = daemon_path(up->remote.socket, path);
    if (status != CLI_OK)
        return status;
    int rc = bioxen_open_path(&up->remote.manager, path, &err);
    if (rc == -ENOENT || rc == -ECONNREFUSED) {
        status = daemon_spawn(path);
        if (status != CLI_OK)
            return status;
        cli_say("started a daemon at %s, until its last topology is down", path);
        rc = bioxen_open_path(&up->remote.manager, path, &err);
    }
    run_signals_ignore_pipe();
    if (rc == 0)
        return CLI_OK;
    cli_say("%s", err.text);
    return CLI_HOST;
}

/* What would be done: to what a daemon has, if there is one, else to nothing. */
static int open_to_look(struct up *up)
{
    return bioxen_open_path(&up->remote.manager, up->remote.socket, NULL) == 0 ? CLI_OK : open_private(up);
}

/* ---- all of it ---- */

static int check(struct up *up)
{
    int status = topo_source_init(&up->source, &up->file, true);
    if (status == CLI_OK)
        status = topo_check_by(up->remote.manager, &up->file, &up->source, &up->checked);
    if (status != CLI_OK)
        return status;
    topo_say(&up->file, up->checked);
    return bioxen_checked_errors(up->checked) > 0 ? CLI_USAGE : CLI_OK;
}

static int bring_up(struct up *up)
{
    bool look = (up->flags & BIOXEN_UP_DRY_RUN) != 0, stay = !look && !up->detach;
    if (stay)
        run_signals_install();
    int status = look ? open_to_look(up) : up->detach ? open_daemon(up) : open_private(up);
    if (status == CLI_OK)
        status = check(up);
    if (status != CLI_OK)
        return status;
    return stay ? up_stay(up) : up_ask(up);
}

static int run_up(int argc, char **argv)
{
    struct up up = {0};
    int count;
    enum cli_parsed parsed = remote_parse(&verb_up, argc, argv, take_option, &up, 1, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = topo_read(&up.file, argv[1]);
    if (status == CLI_OK)
        status = bring_up(&up);
    bioxen_checked_free(up.checked);
    topo_source_fini(&up.source);
    topo_fini(&up.file);
    remote_close(&up.remote);
    return status;
}

static const struct cli_option options[] = {
    {.id = OPT_DETACH,
     .name = "detach",
     .kind = CLI_FLAG,
     .help = "let a daemon run it, and return when it is up"},
    {.id = OPT_WAIT,
     .name = "wait",
     .kind = CLI_FLAG,
     .help = "it is up when all are ready; one that ended with 0 counts"},
    {.id = OPT_DRY_RUN, .name = "dry-run", .kind = CLI_FLAG, .help = "only tell what would be done"},
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object: what was done; in the foreground, one a line: what is printed"),
};

const struct cli_verb verb_up = {
    .name = "up",
    .arguments = "[-d] [--wait] [--dry-run] [options] FILE.yaml",
    .summary = "Bring a topology to what a file says; only what differs is touched",
    .details =
        "In the foreground it shows what the VMs print, each line with its VM's name before it. Ctrl-C takes it down,\n"
        "and so does the end of all VMs, or of this process.\n"
        "\n"
        "With -d a daemon runs it: the one at the socket path, or one that is started there and lives until its last\n"
        "topology is down. FILE may be - for standard input.\n"
        "\n"
        "Exit status: 0 when it is up (-d), or was taken down by Ctrl-C, or all VMs ended with 0; 1 when a VM did\n"
        "not; 2 when the file is not in order, or wrong usage; 125 bioxen or the host could not.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_up,
};
