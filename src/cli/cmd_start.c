/* cmd_start.c - bioxen start. */
#include "vm_verb.h"

static int run_start(int argc, char **argv)
{
    return vm_verb_run(&verb_start, BIOXEN_VM_START, argc, argv);
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line for each VM"),
};

const struct cli_verb verb_start = {
    .name = "start",
    .arguments = "[options] VM...",
    .summary = "Start VMs that are down",
    .details = "A VM is NAME, or TOPOLOGY/NAME where several have that name.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_start,
};
