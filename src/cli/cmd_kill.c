/* cmd_kill.c - bioxen kill. */
#include "vm_verb.h"

static int run_kill(int argc, char **argv)
{
    return vm_verb_run(&verb_kill, BIOXEN_VM_KILL, argc, argv);
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line for each VM"),
};

const struct cli_verb verb_kill = {
    .name = "kill",
    .arguments = "[options] VM...",
    .summary = "Kill VMs by SIGKILL; their restart policies decide what follows",
    .details = "A VM is NAME, or TOPOLOGY/NAME where several have that name.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_kill,
};
