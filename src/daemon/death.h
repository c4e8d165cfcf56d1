/*
 * death.h - from what is known of a VM's end to its death record.
 */
#ifndef BX_DAEMON_DEATH_H
#define BX_DAEMON_DEATH_H

#include "common/control.h"
#include "common/record.h"

struct vm;

/* Fills a zeroed record from the VM's state; the texts are moved out of the VM. The caller calls record_fini. */
void death_describe(struct vm *vm, struct record *record);

/* Sends a record to the VM's client, if it has one, as CTL_DEATH or CTL_ENDED. */
void death_send(const struct vm *vm, enum ctl_type type, const struct record *record, const char *why,
                uint64_t wait_us);

#endif
