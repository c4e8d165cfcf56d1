/* feed.c - a ring of events. A listener is a position in it. */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "common/control.h"
#include "fleet.h"
#include "listing.h"
#include "manager.h"

struct feed_listener {
    struct feed_listener *prev, *next;
    struct client *client;
    uint32_t id;
    uint32_t scope; /* 0: every topology */
    uint64_t position;
};

/* ---- telling ---- */

static void send_change(struct client *client, uint32_t id, const char *bytes, size_t length)
{
    static char frame[BX_FRAME_MAX];
    struct ctl_head head = {CTL_MAGIC, CTL_CHANGE, id, (uint32_t)length};
    if (length > sizeof frame - sizeof head)
        return;
    memcpy(frame, &head, sizeof head);
    memcpy(frame + sizeof head, bytes, length);
    client_send(client, frame, sizeof head + length);
}

static void send_answer(struct client *client, uint32_t id, struct answer *event)
{
    if (!event->failed)
        send_change(client, id, event->bytes.data, event->bytes.size);
    answer_fini(event);
}

static void tell_missed(struct feed_listener *listener, uint64_t count)
{
    struct answer event;
    answer_init(&event);
    answer_map(&event, 2);
    answer_put_text(&event, "event", "missed");
    answer_put_number(&event, "count", count);
    send_answer(listener->client, listener->id, &event);
}

/* Everything that it has not heard, as far as it takes that. */
static void catch_up(const struct feed *feed, struct feed_listener *listener)
{
    if (listener->position < feed->first && !client_backlogged(listener->client)) {
        tell_missed(listener, feed->first - listener->position);
        listener->position = feed->first;
    }
    while (listener->position < feed->end && !client_backlogged(listener->client)) {
        const struct feed_event *event = feed->ring[listener->position++ % FEED_KEPT];
        if (event != NULL && (listener->scope == 0 || listener->scope == event->scope))
            send_change(listener->client, listener->id, event->bytes, event->length);
    }
}

/* ---- the ring ---- */

static void drop_first(struct feed *feed)
{
    struct feed_event *event = feed->ring[feed->first % FEED_KEPT];
    feed->ring[feed->first++ % FEED_KEPT] = NULL;
    feed->bytes -= event != NULL ? event->length : 0;
    free(event);
}

static void keep(struct feed *feed, uint32_t scope, const msgpack_sbuffer *bytes)
{
    struct feed_event *event = malloc(sizeof *event + bytes->size);
    while (feed->end - feed->first == FEED_KEPT || (feed->first < feed->end && feed->bytes > FEED_BYTES))
        drop_first(feed);
    if (event != NULL) {
        *event = (struct feed_event){.scope = scope, .length = (uint32_t)bytes->size};
        memcpy(event->bytes, bytes->data, bytes->size);
        feed->bytes += event->length;
    }
    feed->ring[feed->end++ % FEED_KEPT] = event;
}

void feed_begin(struct answer *event, const char *name, const struct fleet *fleet, const struct instance *instance,
                uint32_t more)
{
    answer_init(event);
    answer_map(event, 3 + (instance != NULL) + more);
    answer_put_text(event, "event", name);
    answer_put_number(event, "time_us", bx_wall_us());
    answer_put_text(event, "topology", fleet->name);
    if (instance != NULL)
        answer_put_text(event, "vm", instance->name);
}

void feed_end(struct answer *event, const struct fleet *fleet)
{
    struct feed *feed = &fleet->manager->fleets.feed;
    struct feed_listener *listener;
    if (!event->failed) {
        keep(feed, fleet->scope, &event->bytes);
        DL_FOREACH(feed->listeners, listener)
            catch_up(feed, listener);
    }
    answer_fini(event);
}

void feed_say(const char *name, const struct fleet *fleet, const struct instance *instance)
{
    struct answer event;
    feed_begin(&event, name, fleet, instance, 0);
    feed_end(&event, fleet);
}

/* ---- who listens ---- */

static void tell_all(struct client *client, uint32_t id, const struct fleet *fleet)
{
    struct answer event;
    answer_init(&event);
    answer_map(&event, 1 + LISTING_FLEET);
    answer_put_text(&event, "event", "topology");
    listing_put_fleet(&event, fleet);
    send_answer(client, id, &event);
    for (const struct instance *instance = fleet->instances; instance != NULL; instance = instance->in_fleet.next) {
        answer_init(&event);
        answer_map(&event, 1 + LISTING_VM);
        answer_put_text(&event, "event", "vm");
        listing_put_vm(&event, instance);
        send_answer(client, id, &event);
    }
}

static void tell_live(struct client *client, uint32_t id)
{
    struct answer event;
    answer_init(&event);
    answer_map(&event, 1);
    answer_put_text(&event, "event", "live");
    send_answer(client, id, &event);
}

static uint32_t count_of(const struct feed *feed, const struct client *client)
{
    uint32_t count = 0;
    struct feed_listener *listener;
    DL_FOREACH(feed->listeners, listener)
        count += listener->client == client;
    return count;
}

int feed_listen(struct manager *manager, struct client *client, uint32_t id, const struct fleet *fleet,
                struct bx_error *err)
{
    struct feed *feed = &manager->fleets.feed;
    if (count_of(feed, client) >= FEED_LISTENERS_MAX)
        return bx_fail(err, EUSERS, "a client listens %u times at most", FEED_LISTENERS_MAX);
    struct feed_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return bx_fail_errno(err, ENOMEM, "events");
    *listener = (struct feed_listener){
        .client = client, .id = id, .scope = fleet != NULL ? fleet->scope : 0, .position = feed->end};
    const struct fleet *each;
    DL_FOREACH(manager->fleets.list, each)
        if (fleet == NULL || each == fleet)
            tell_all(client, id, each);
    tell_live(client, id);
    DL_APPEND(feed->listeners, listener);
    return 0;
}

void feed_resume(struct client *client)
{
    const struct feed *feed = &client->manager->fleets.feed;
    struct feed_listener *listener;
    DL_FOREACH(feed->listeners, listener)
        if (listener->client == client)
            catch_up(feed, listener);
}

int feed_forget(struct client *client, uint32_t id)
{
    struct feed *feed = &client->manager->fleets.feed;
    struct feed_listener *listener, *next;
    int found = 0;
    DL_FOREACH_SAFE(feed->listeners, listener, next) {
        if (listener->client != client || (id != 0 && listener->id != id))
            continue;
        DL_DELETE(feed->listeners, listener);
        free(listener);
        found = 1;
    }
    return found;
}

void feed_fini(struct feed *feed)
{
    struct feed_listener *listener, *next;
    DL_FOREACH_SAFE(feed->listeners, listener, next)
        free(listener);
    feed->listeners = NULL;
    while (feed->first < feed->end)
        drop_first(feed);
}
