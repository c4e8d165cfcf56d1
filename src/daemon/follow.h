/* follow.h - clients that read logs: what is kept, and what comes. */
#ifndef BX_DAEMON_FOLLOW_H
#define BX_DAEMON_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "common/error.h"

struct fleet;
struct follow_tail;
struct follower;
struct instance;
struct manager;

/* What request `id` is about: one VM, or (instance NULL) all of a topology, or (both NULL) all. */
struct follow_what {
    struct fleet *fleet;
    struct instance *instance;
    uint64_t since_us; /* CLOCK_REALTIME */
    bool follow;
};

/* Sends what is kept; the request is answered at once or, with `follow`, when it ends. Returns 0 or -errno. */
int follow_start(struct manager *manager, struct client *client, uint32_t id, const struct follow_what *what,
                 struct bx_error *err);

/* A new VM: for those who follow its topology. */
void follow_added(struct instance *instance);

/* Its log has something new. */
void follow_printed(struct instance *instance);

/* It is gone for good: what followed it alone is over. */
void follow_removed(struct instance *instance);

/* A topology is gone, or (NULL) everything: what followed it is over. */
void follow_fleet_removed(struct fleet *fleet);

/* As feed_resume and feed_forget. */
void follow_resume(struct client *client);
int follow_forget(struct client *client, uint32_t id);
void follow_fini(struct manager *manager);

#endif
