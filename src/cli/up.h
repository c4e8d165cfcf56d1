/* up.h - the parts of `bioxen up`: asking for it, telling what was done, and staying with it. */
#ifndef BX_CLI_UP_H
#define BX_CLI_UP_H

#include "remote.h"
#include "topo.h"

struct up {
    struct remote remote;
    bool detach;
    unsigned flags; /* enum bioxen_up_flag */
    struct topo_file file;
    struct topo_source source;
    bioxen_checked *checked;
};

/* Asks, waits, tells. Returns the exit status. */
int up_ask(struct up *up);

/* The same, and then shows what the VMs print until their end or ours, and takes all down. Returns the exit status. */
int up_stay(struct up *up);

/* What was done, or would be. */
void up_tell(const struct up *up, const bioxen_node *answer);

/* An up that was refused. Returns the exit status. */
int up_refused(const struct up *up, const struct bioxen_error *err);

#endif
