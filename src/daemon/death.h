/*
 * death.h - from what is known of a VM's end to its death record.
 */
#ifndef BX_DAEMON_DEATH_H
#define BX_DAEMON_DEATH_H

#include "common/record.h"

struct vm;

/* Fills a zeroed record from the VM's state; the texts are moved out of the VM. The caller calls record_fini. */
void death_describe(struct vm *vm, struct record *record);

/* Sends the record to the VM's client, if it has one. */
void death_report(const struct vm *vm, const struct record *record);

#endif
