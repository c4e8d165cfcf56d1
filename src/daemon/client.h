/*
 * client.h - the control connection to one client: frames in, frames out, and the queue between.
 */
#ifndef BX_DAEMON_CLIENT_H
#define BX_DAEMON_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/control.h"
#include "common/loop.h"

struct manager;
struct queued_frame;

struct client {
    struct bx_source source;
    struct manager *manager;
    /* What the client has not taken yet. While any is here, VMs' output is not read. */
    struct queued_frame *first, *last;
};

void client_init(struct client *client, struct manager *manager);

/* Takes the descriptor. Returns 0 or -errno. */
int client_open(struct client *client, int fd);
void client_fini(struct client *client);

/* Sends or queues one whole message (`frame` is copied when it must wait). A client that is gone gets nothing. */
void client_send(struct client *client, const void *frame, size_t length);

/* The same for a note (control.h). `text` may be NULL when `length` is 0; it is cut to what a frame holds. */
void client_send_note(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, const char *text,
                      size_t length);

/* A note without a text but with a descriptor, which is taken. */
void client_send_fd(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, int fd);

/* 1 while frames wait for the client. */
int client_backlogged(const struct client *client);

#endif
