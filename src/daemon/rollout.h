/*
 * rollout.h - carries out what is to be done about a topology: up, as a plan says, or down. One at a time for each
 * topology. It never waits: it goes on when the jailer has answered, or a VM has come so far.
 *
 *   up    nets and wires of what comes, so that nothing starts without them; then what has to go ends, dependents
 *         first; then what comes starts, dependents last. What fails is taken back.
 *   down  everything ends, dependents first, and is forgotten.
 */
#ifndef BX_DAEMON_ROLLOUT_H
#define BX_DAEMON_ROLLOUT_H

#include <stdint.h>

#include "bundle.h"
#include "client.h"
#include "common/error.h"

struct fleet;
struct instance;
struct manager;

/* Brings a bundle up for a client's request; takes the bundle. Returns 0, or -errno: then nothing is answered. */
int rollout_up(struct manager *manager, struct bundle *bundle, struct client_request request, unsigned flags,
               struct bx_error *err);

/* Takes a topology down, or (NULL) all. Likewise. */
int rollout_down(struct manager *manager, struct fleet *fleet, struct client_request request, struct bx_error *err);

/* "up", "coming", "going". */
const char *rollout_state(const struct fleet *fleet);

/* Something happened to a VM. */
void rollout_on_started(struct instance *instance);
void rollout_on_failed(struct instance *instance, int code, const char *why);
void rollout_look(struct instance *instance); /* it may be ready */
void rollout_on_ended(struct instance *instance); /* it may be gone afterwards */

/* Whose `up` that is, is gone: it is taken back. */
void rollout_client_gone(struct fleet *fleet, uint32_t client);

/* Everything ends. */
void rollout_drop(struct fleet *fleet);
void rollout_downs_fini(struct manager *manager);

#endif
