/*
 * streams.h - what comes out of a VM: stdout, stderr, and the lifeline's frames.
 */
#ifndef BX_DAEMON_STREAMS_H
#define BX_DAEMON_STREAMS_H

#include "common/lifeline.h"

struct vm;

/* Makes pipes and lifeline, keeps our ends in vm->unwatched, and puts the VM's ends into handed[] (stdout, stderr,
 * lifeline; the caller's to close, also after a failure). Returns 0 or -errno. */
int streams_open(struct vm *vm, int handed[3]);

/* Begins to read what it says. Returns 0 or -errno. */
int streams_watch(struct vm *vm);

/*
 * Says something to the VM, with a borrowed descriptor or -1; texts of LW_TELL_MAX bytes at most. Returns 0, -EAGAIN
 * when it has not read for long, or -errno when nobody is there.
 */
#define LW_TELL_MAX 64
int streams_tell(struct vm *vm, const struct lw_frame *frame, int fd);

/* Reads what it has printed by now, at most what pipes hold: whoever asks for its figures has that before them. */
void streams_read_dry(struct vm *vm);

/* After its death: reads on until all three have ended, then raises VM_EV_DRAINED. The VM may be freed. */
void streams_drain(struct vm *vm);

#endif
