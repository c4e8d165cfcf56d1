/* vm_verb.h - stop, start, restart and kill: one after the other for each VM that is named. */
#ifndef BX_CLI_VM_VERB_H
#define BX_CLI_VM_VERB_H

#include "remote.h"

enum { VM_VERB_GRACE = 256 };

/* How long a VM may take to end by itself, where nothing else is said. */
#define VM_VERB_GRACE_TEXT "10s"

#define VM_VERB_OPTION_GRACE                                                                                          \
    {.id = VM_VERB_GRACE, .name = "grace", .kind = CLI_TIME, .value = "TIME", .min = 0, .max = 3600000,               \
     .fallback = VM_VERB_GRACE_TEXT, .help = "how long it may take to end before it is killed"}

int vm_verb_run(const struct cli_verb *verb, enum bioxen_vm_verb what, int argc, char **argv);

#endif
