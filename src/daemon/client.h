/*
 * client.h - the control connection to one client: frames in, frames out, and the queue between. The first client is
 * the owner: its end is the end of everything. Others come over a socket path (listener.h): with them end their VMs.
 */
#ifndef BX_DAEMON_CLIENT_H
#define BX_DAEMON_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/control.h"
#include "common/loop.h"

struct manager;
struct queued_frame;

#define CLIENT_OWNER 1u

/* A request that is answered later, when its client may be gone. */
struct client_request {
    uint32_t client; /* its number */
    uint32_t id;
};

struct client {
    struct bx_source source; /* its descriptor is -1 when the client is gone */
    UT_hash_handle hh;
    uint32_t number; /* also the scope of its VMs' names */
    struct manager *manager;
    /* What the client has not taken yet. While any is here, VMs' output is not read. */
    struct queued_frame *first, *last;
};

/* Takes the descriptor, also when it fails. NULL: no memory, or it cannot be watched. */
struct client *client_new(struct manager *manager, uint32_t number, int fd);
void client_free(struct client *client);

/*
 * Sends or queues one whole message (`frame` is copied when it must wait). A client that is gone, or NULL, gets none.
 */
void client_send(struct client *client, const void *frame, size_t length);

/* The same for a note (control.h). `text` may be NULL when `length` is 0; it is cut to what a frame holds. */
void client_send_note(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, const char *text,
                      size_t length);

/* A note without a text but with a descriptor, which is taken. */
void client_send_fd(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, int fd);

/* 1 while frames wait for the client. */
int client_backlogged(const struct client *client);

#endif
