/* upload.h - topologies that clients are sending: until all of it is here, nothing is done. */
#ifndef BX_DAEMON_UPLOAD_H
#define BX_DAEMON_UPLOAD_H

#include "client.h"
#include "common/control.h"
#include "common/error.h"

struct bundle;
struct manager;
struct upload;

/* Of one client at a time: its threads may each bring up another. */
#define UPLOADS_MAX 8u

/* Begins, under a request's id. Returns 0 or -errno. */
int upload_begin(struct client *client, uint32_t id, int fd, const struct ctl_note *note, struct bx_error *err);

/*
 * Adds a part. Returns 0, -EBADMSG for what is no part, or another error: then the upload is over. Of an upload that is
 * over the rest is thrown away.
 */
int upload_add(struct client *client, uint32_t id, const char *body, size_t length, int *fd, struct bx_error *err);

/* All is here. Returns the bundle, which is the caller's, or NULL with *err; err->code 0: it was over already. */
struct bundle *upload_take(struct client *client, uint32_t id, struct bx_error *err);

/* The client sends no more of it. */
void upload_drop(struct client *client, uint32_t id);

/* Of a client that is gone; 0: of all. */
void upload_forget(struct manager *manager, uint32_t client);

#endif
