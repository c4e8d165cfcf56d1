/*
 * again.h - a client's VM that is started again when it ends: it keeps its number, its name and its place in the
 * network, and what it was made of. Whether and when is restart.h's.
 */
#ifndef BX_DAEMON_AGAIN_H
#define BX_DAEMON_AGAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/record.h"

struct again;
struct vm;

/* Keeps copies of the descriptors that a further life needs, if the VM's policy wants one. Returns 0 or -errno. */
int again_prepare(struct vm *vm, int program, const int *mounts);

/* How often it was started again. */
uint32_t again_count(const struct vm *vm);

/*
 * A life has ended. True: there is a next one after a wait, and the client knows; the record was taken. False: this was
 * the last, and *why is "" or the reason why it was given up (valid until again_free).
 */
bool again_rest(struct vm *vm, struct record *record, const char **why);

/* The client hears that the last life was the last. */
void again_report_end(struct vm *vm);

void again_free(struct vm *vm);

#endif
