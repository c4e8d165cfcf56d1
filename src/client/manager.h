/* manager.h - the manager's inside, and what its files offer each other. */
#ifndef BX_CLIENT_MANAGER_H
#define BX_CLIENT_MANAGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "bioxen.h"
#include "common/control.h"
#include "common/record.h"
#include "launch.h"
#include "modules.h"

struct kept_frame;

struct bioxen_manager {
    struct launched launched;
    pid_t owner;              /* the process that opened it: in a child after fork it ends nothing */
    atomic_uint last_id;      /* requests come from any thread */
    struct modules modules;   /* has its own lock */
    /* The rest belongs to whoever receives. */
    struct kept_frame *kept, *last_kept; /* events that came before a reply, oldest first */
    struct bioxen_answer *coming, *shown; /* an answer of which not all is here; the last event's */
    struct record record;     /* of the last death event: its texts live until the next */
    struct death_frame death; /* likewise */
    int frame_fd;             /* came with the last message; -1 */
    char frame[BX_FRAME_MAX]; /* the last message: an event's bytes point into it */
};

/* One without an orchestrator yet; NULL: no memory. */
bioxen_manager *manager_new(void);

/* ---- request.c ---- */

/* A number for a request, never 0. */
uint32_t manager_next_id(bioxen_manager *manager);

/* Asks for a VM by request `id`. Returns 0 or -errno. */
int request_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t id, struct bx_error *err);

/* Sends one message, with borrowed descriptors. Returns 0 or -errno. */
int request_send(bioxen_manager *manager, const struct iovec *parts, size_t count, const int *fds, unsigned fd_count,
                 struct bx_error *err);

/* Sends a note with a borrowed descriptor or -1. Returns 0 or -errno. */
int request_note(bioxen_manager *manager, uint32_t type, uint32_t id, const struct ctl_note *note, int fd,
                 struct bx_error *err);

/* ---- event.c ---- */

/* The orchestrator's end, as an error. */
int manager_gone(struct bx_error *err);

/* Takes what has come by now: needs are answered, everything else is kept. Returns 0 or -errno. */
int manager_take_waiting(bioxen_manager *manager, struct bx_error *err);

/*
 * The same, but what was kept is looked through first: for an answer that may have come already.
 */
int manager_wait_kept(bioxen_manager *manager,
                      bool (*wanted)(const struct ctl_head *head, const char *body, void *context), void *context,
                      struct ctl_head *head, const char **body, struct bx_error *err);

/*
 * Waits for a message that `wanted` says is the caller's, and keeps all others for bioxen_next; signals do not end it.
 * Returns 0 with the message, which lives until the next one comes, or -errno.
 */
int manager_wait(bioxen_manager *manager, bool (*wanted)(const struct ctl_head *head, const char *body, void *context),
                 void *context, struct ctl_head *head, const char **body, struct bx_error *err);

/* An answer in pieces. Takes one: returns 1 when that was the last one, else 0, or -errno. */
int answer_add(struct bioxen_answer **answer, const char *bytes, size_t length, bool last, struct bx_error *err);

/* Frees what was kept. */
void manager_drop_kept(bioxen_manager *manager);

#endif
