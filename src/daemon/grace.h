/*
 * grace.h - what a VM is asked to do by itself, and how long it has for that: end a call, end itself. When the grace
 * is over it is killed: nothing waits for a VM.
 */
#ifndef BX_DAEMON_GRACE_H
#define BX_DAEMON_GRACE_H

#include "common/control.h"
#include "common/lifeline.h"

struct vm;

/* Asks for the end of a call. */
void grace_interrupt(struct vm *vm, const struct ctl_interrupt *interrupt);

/* The VM says that the call does not run, or no longer. Returns 0, or -EBADMSG when nobody had asked. */
int grace_take_unwound(struct vm *vm, const struct lw_frame *frame);

/* Tells the VM to end. */
void grace_ask_stop(struct vm *vm);

/* When a grace that is given now will be over. */
uint64_t grace_due(const struct vm *vm, uint32_t grace_ms);

/* The VM is ready: from now on it hears what it is asked, and graces that were given before begin. */
void grace_begin(struct vm *vm);

/* Sets the timer to the first grace that ends. */
void grace_arm(struct vm *vm);

#endif
