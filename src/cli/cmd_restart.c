/* cmd_restart.c - bioxen restart. */
#include "vm_verb.h"

static int run_restart(int argc, char **argv)
{
    return vm_verb_run(&verb_restart, BIOXEN_VM_RESTART, argc, argv);
}

static const struct cli_option options[] = {
    VM_VERB_OPTION_GRACE,
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line for each VM"),
};

const struct cli_verb verb_restart = {
    .name = "restart",
    .arguments = "[options] VM...",
    .summary = "Stop VMs and start them again",
    .details = "A VM is NAME, or TOPOLOGY/NAME where several have that name.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_restart,
};
