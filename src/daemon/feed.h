/*
 * feed.h - what happens to topologies and their VMs, for whoever wants to hear of it. The last events are kept for
 * those who are slow; who is slower than that is told how many he missed. Nobody holds anything up.
 */
#ifndef BX_DAEMON_FEED_H
#define BX_DAEMON_FEED_H

#include <stdint.h>

#include "answer.h"
#include "client.h"
#include "common/error.h"

struct fleet;
struct instance;
struct manager;
struct feed_listener;

/* Events that are kept, and bytes of them. */
#define FEED_KEPT  2048u
#define FEED_BYTES (4u * 1024u * 1024u)

/* Listeners, and followers of logs, of one client: nobody needs more. */
#define FEED_LISTENERS_MAX 64u

struct feed_event {
    uint32_t scope; /* of its topology */
    uint32_t length;
    char bytes[];
};

struct feed {
    struct feed_event *ring[FEED_KEPT];
    uint64_t first, end; /* numbers of events */
    uint64_t bytes;
    struct feed_listener *listeners;
};

void feed_fini(struct feed *feed);

/*
 * Begins an event, with `more` entries of the caller's own; `instance` may be NULL. feed_end takes it and sends it to
 * all who listen.
 */
void feed_begin(struct answer *event, const char *name, const struct fleet *fleet, const struct instance *instance,
                uint32_t more);
void feed_end(struct answer *event, const struct fleet *fleet);

/* An event without more entries. */
void feed_say(const char *name, const struct fleet *fleet, const struct instance *instance);

/* A client wants to hear of one topology, or (NULL) of all: first of what is. Returns 0 or -errno. */
int feed_listen(struct manager *manager, struct client *client, uint32_t id, const struct fleet *fleet,
                struct bx_error *err);

/* The client has taken what waited for it. */
void feed_resume(struct client *client);

/* Ends what a client asked for by request `id`, or (0) all of it, without an answer. Returns 1 when there was any. */
int feed_forget(struct client *client, uint32_t id);

#endif
