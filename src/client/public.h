/* public.h - between the public structs of bioxen.h and the internal ones. */
#ifndef BX_CLIENT_PUBLIC_H
#define BX_CLIENT_PUBLIC_H

#include "bioxen.h"
#include "common/error.h"
#include "common/record.h"
#include "common/vm_spec.h"

/* Copies an error to the caller's, which may be NULL. Returns -code. */
int public_fail(struct bioxen_error *out, const struct bx_error *err);

/*
 * What a config asks of the orchestrator; mount descriptors into fds[]. Returns 0 or -EINVAL for what a
 * spec cannot hold.
 */
int public_spec(const struct bioxen_config *config, struct vm_spec *spec, int *fds, struct bx_error *err);

/* The public view of a record: it points into `record`. */
void public_record(const struct record *record, struct bioxen_record *out);

#endif
