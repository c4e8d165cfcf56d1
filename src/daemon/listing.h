/* listing.h - topologies and their VMs as clients are shown them: lists, one VM in full, death records. */
#ifndef BX_DAEMON_LISTING_H
#define BX_DAEMON_LISTING_H

#include "answer.h"
#include "client.h"
#include "common/error.h"
#include "common/record.h"

struct fleet;
struct instance;
struct manager;

/* Entries of a map, as many as that. */
#define LISTING_FLEET 7
void listing_put_fleet(struct answer *answer, const struct fleet *fleet);
#define LISTING_VM 13
void listing_put_vm(struct answer *answer, const struct instance *instance);

/* A map: a death record as reports have it. */
void listing_put_record(struct answer *answer, const struct record *record);

/* Answer a client's request. `fleet` NULL: of all. */
void listing_vms(struct manager *manager, struct client *client, uint32_t id, const struct fleet *fleet);
void listing_fleets(struct manager *manager, struct client *client, uint32_t id);
void listing_deaths(struct manager *manager, struct client *client, uint32_t id, const struct fleet *fleet);
void listing_inspect(struct client *client, uint32_t id, const struct instance *instance);

#endif
