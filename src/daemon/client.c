/*
 * client.c - a control connection. A frame is checked for its size and form before anybody sees it; a client that
 * breaks the protocol is cut off, which for the owner's connection is the end of all.
 */
#include "client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/socket.h"
#include "control.h"
#include "feed.h"
#include "follow.h"
#include "manager.h"

struct queued_frame {
    struct queued_frame *next;
    size_t length;
    int fd; /* -1: none */
    char bytes[];
};

static void cut_off(struct client *client)
{
    bx_loop_close(&client->manager->loop, &client->source);
    if (client->number == CLIENT_OWNER)
        bx_loop_stop(&client->manager->loop);
    else
        manager_on_client_gone(client->manager, client);
}

/* Returns 0 when the frame went or the client is gone, -EAGAIN when it must wait. */
static int try_send(struct client *client, const void *frame, size_t length, int fd)
{
    struct iovec part = {(void *)frame, length};
    int rc = bx_send(client->source.fd, &part, 1, &fd, fd >= 0);
    if (rc != 0 && rc != -EAGAIN)
        cut_off(client);
    return rc == -EAGAIN ? rc : 0;
}

static void free_frame(struct queued_frame *frame)
{
    bx_close_all(&frame->fd, 1);
    free(frame);
}

static void flush_queue(struct client *client)
{
    while (client->first != NULL) {
        struct queued_frame *frame = client->first;
        if (client->source.fd >= 0 && try_send(client, frame->bytes, frame->length, frame->fd) != 0)
            return;
        client->first = frame->next;
        free_frame(frame);
    }
    client->last = NULL;
    if (client->source.fd >= 0)
        bx_loop_change(&client->manager->loop, &client->source, EPOLLIN);
    manager_pause_output(client, false);
    feed_resume(client);
    follow_resume(client);
}

static void enqueue(struct client *client, const void *bytes, size_t length, int fd)
{
    struct queued_frame *frame = malloc(sizeof *frame + length);
    if (frame == NULL) { /* a client that cannot be told the truth is told nothing more */
        bx_close_all(&fd, 1);
        cut_off(client);
        return;
    }
    *frame = (struct queued_frame){.length = length, .fd = fd};
    memcpy(frame->bytes, bytes, length);
    if (client->last != NULL)
        client->last->next = frame;
    else
        client->first = frame;
    client->last = frame;
}

/* Takes the descriptor. */
static void send_or_queue(struct client *client, const void *frame, size_t length, int fd)
{
    bool waiting = client != NULL && client->first != NULL;
    if (client == NULL || client->source.fd < 0 || (!waiting && try_send(client, frame, length, fd) == 0)) {
        bx_close_all(&fd, 1);
        return;
    }
    enqueue(client, frame, length, fd);
    if (!waiting && client->source.fd >= 0) {
        bx_loop_change(&client->manager->loop, &client->source, EPOLLIN | EPOLLOUT);
        manager_pause_output(client, true);
    }
}

void client_send(struct client *client, const void *frame, size_t length)
{
    send_or_queue(client, frame, length, -1);
}

void client_send_note(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, const char *text,
                      size_t length)
{
    static char frame[CTL_NOTE_MAX];
    struct ctl_note note = {vm, number, text, (uint32_t)(length < BX_MESSAGE_MAX ? length : BX_MESSAGE_MAX)};
    client_send(client, frame, ctl_encode_note(type, id, &note, frame));
}

void client_send_fd(struct client *client, uint32_t type, uint32_t id, uint32_t vm, uint32_t number, int fd)
{
    static char frame[CTL_NOTE_MAX];
    struct ctl_note note = {.vm = vm, .number = number, .text = ""};
    send_or_queue(client, frame, ctl_encode_note(type, id, &note, frame), fd);
}

int client_backlogged(const struct client *client)
{
    return client != NULL && client->first != NULL;
}

static void receive_one(struct client *client)
{
    static char frame[BX_FRAME_MAX]; /* not on the stack, whose every page the compiler's stack probes would touch */
    int fds[BX_FDS_MAX];
    unsigned fd_count = 0;
    ssize_t got = bx_receive(client->source.fd, frame, sizeof frame, fds, BX_FDS_MAX, &fd_count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return;
    struct ctl_head head;
    const char *body;
    if (got <= 0 || ctl_decode_head(frame, (size_t)got, &head, &body) != 0)
        cut_off(client);
    else if (control_handle(client, &head, body, fds, fd_count) != 0)
        cut_off(client);
    bx_close_all(fds, fd_count);
}

static void on_client(struct bx_source *source, uint32_t events)
{
    struct client *client = (struct client *)source;
    struct manager *manager = client->manager;
    if ((events & EPOLLOUT) != 0)
        flush_queue(client);
    if (client->source.fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        receive_one(client);
    manager_sweep_clients(manager);
}

struct client *client_new(struct manager *manager, uint32_t number, int fd)
{
    struct client *client = malloc(sizeof *client);
    if (client != NULL)
        *client = (struct client){.source = {-1, on_client}, .number = number, .manager = manager};
    if (client != NULL && bx_loop_add(&manager->loop, &client->source, fd, EPOLLIN) == 0)
        return client;
    close(fd);
    free(client);
    return NULL;
}

void client_free(struct client *client)
{
    bx_loop_close(&client->manager->loop, &client->source);
    while (client->first != NULL) {
        struct queued_frame *frame = client->first;
        client->first = frame->next;
        free_frame(frame);
    }
    free(client);
}
