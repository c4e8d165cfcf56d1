/*
 * streams.h - what comes out of a VM: stdout, stderr, and the lifeline's frames.
 */
#ifndef BX_DAEMON_STREAMS_H
#define BX_DAEMON_STREAMS_H

struct vm;

/* Makes pipes and lifeline, puts our ends into the loop and the VM's ends into handed[] (stdout, stderr, lifeline;
 * the caller's to close, also after a failure). Returns 0 or -errno. */
int streams_open(struct vm *vm, int handed[3]);

/* After its death: reads on until all three have ended, then raises VM_EV_DRAINED. The VM may be freed. */
void streams_drain(struct vm *vm);

#endif
