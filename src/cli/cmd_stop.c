/* cmd_stop.c - bioxen stop. */
#include "vm_verb.h"

static int run_stop(int argc, char **argv)
{
    return vm_verb_run(&verb_stop, BIOXEN_VM_STOP, argc, argv);
}

static const struct cli_option options[] = {
    VM_VERB_OPTION_GRACE,
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line for each VM"),
};

const struct cli_verb verb_stop = {
    .name = "stop",
    .arguments = "[options] VM...",
    .summary = "Stop VMs: they end by themselves, or are killed after a grace, and stay down",
    .details = "A VM is NAME, or TOPOLOGY/NAME where several have that name.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_stop,
};
