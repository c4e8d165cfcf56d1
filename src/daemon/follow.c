/*
 * follow.c - a follower has a tail at each log that it reads: a position. A client that does not take what it is sent
 * gets nothing more; its tails are behind, and go on when it does.
 */
#include "follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "answer.h"
#include "common/control.h"
#include "feed.h"
#include "fleet.h"
#include "manager.h"

struct follow_tail {
    struct follow_tail *prev, *next;               /* at one log */
    struct follow_tail *prev_of, *next_of;         /* of one follower */
    struct follow_tail *prev_behind, *next_behind; /* of one follower, when it is behind */
    struct follower *follower;
    struct instance *instance;
    uint64_t position;
    bool behind;
};

struct follower {
    struct follower *prev, *next;
    struct client *client;
    uint32_t id;
    struct follow_what what;
    struct follow_tail *tails, *behind;
};

/* ---- sending ---- */

static void send_piece(const struct follow_tail *tail, const struct log_piece *piece, uint64_t skipped)
{
    static char frame[BX_FRAME_MAX];
    char name[2 * BX_NAME_MAX + 2];
    const struct instance *instance = tail->instance;
    int length = snprintf(name, sizeof name, "%s/%s", instance->fleet->name, instance->name);
    struct ctl_log log = {.vm = instance->number, .skipped = skipped, .name = (uint32_t)length};
    if (piece != NULL) {
        log.stream = piece->stream;
        log.time_us = piece->time_us;
    }
    uint32_t bytes = piece != NULL ? piece->length : 0;
    struct ctl_head head = {CTL_MAGIC, CTL_LOG, tail->follower->id, (uint32_t)(sizeof log + log.name + bytes)};
    char *to = frame;
    memcpy(to, &head, sizeof head);
    memcpy(to += sizeof head, &log, sizeof log);
    memcpy(to += sizeof log, name, log.name);
    if (bytes > 0)
        memcpy(to + log.name, piece->bytes, bytes);
    client_send(tail->follower->client, frame, sizeof head + head.length);
}

/* Returns true when nothing is left to be said. What is skipped is counted with the heads of its pieces. */
static bool pump(struct follow_tail *tail)
{
    const struct log *log = &tail->instance->log;
    struct log_piece piece;
    while (!client_backlogged(tail->follower->client)) {
        if (tail->position < log->first && tail->position > 0)
            send_piece(tail, NULL, log->first - tail->position);
        if (log_read(log, &tail->position, &piece) == 0)
            return true;
        if (piece.time_us >= tail->follower->what.since_us)
            send_piece(tail, &piece, 0);
    }
    return tail->position >= log->end;
}

static void set_behind(struct follow_tail *tail, bool behind)
{
    if (behind && !tail->behind)
        DL_APPEND2(tail->follower->behind, tail, prev_behind, next_behind);
    else if (!behind && tail->behind)
        DL_DELETE2(tail->follower->behind, tail, prev_behind, next_behind);
    tail->behind = behind;
}

static void drop_tail(struct follow_tail *tail)
{
    set_behind(tail, false);
    DL_DELETE(tail->instance->tails, tail);
    DL_DELETE2(tail->follower->tails, tail, prev_of, next_of);
    free(tail);
}

static void drop_follower(struct manager *manager, struct follower *follower)
{
    while (follower->tails != NULL)
        drop_tail(follower->tails); /* NOLINT(clang-analyzer-unix.Malloc): it does not follow utlist */
    DL_DELETE(manager->fleets.followers, follower);
    free(follower);
}

static void finish(struct manager *manager, struct follower *follower)
{
    struct answer answer;
    answer_init(&answer);
    answer_map(&answer, 0);
    answer_finish(&answer, follower->client, follower->id);
    drop_follower(manager, follower);
}

/* ---- beginning ---- */

static int add_tail(struct follower *follower, struct instance *instance)
{
    struct follow_tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL)
        return -ENOMEM;
    tail->follower = follower;
    tail->instance = instance;
    DL_APPEND(instance->tails, tail);
    DL_APPEND2(follower->tails, tail, prev_of, next_of);
    set_behind(tail, !pump(tail));
    return 0;
}

static bool is_wanted(const struct follower *follower, const struct instance *instance)
{
    if (follower->what.instance != NULL)
        return follower->what.instance == instance;
    return follower->what.fleet == NULL || follower->what.fleet == instance->fleet;
}

static int add_tails(struct manager *manager, struct follower *follower)
{
    struct fleet *fleet;
    int rc = 0;
    DL_FOREACH(manager->fleets.list, fleet)
        for (struct instance *at = fleet->instances; at != NULL && rc == 0; at = at->in_fleet.next)
            if (is_wanted(follower, at))
                rc = add_tail(follower, at);
    return rc;
}

static uint32_t count_of(const struct manager *manager, const struct client *client)
{
    uint32_t count = 0;
    const struct follower *follower;
    DL_FOREACH(manager->fleets.followers, follower)
        count += follower->client == client;
    return count;
}

int follow_start(struct manager *manager, struct client *client, uint32_t id, const struct follow_what *what,
                 struct bx_error *err)
{
    if (count_of(manager, client) >= FEED_LISTENERS_MAX)
        return bx_fail(err, EUSERS, "a client follows logs %u times at most", FEED_LISTENERS_MAX);
    struct follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL)
        return bx_fail_errno(err, ENOMEM, "logs");
    *follower = (struct follower){.client = client, .id = id, .what = *what};
    DL_APPEND(manager->fleets.followers, follower);
    if (add_tails(manager, follower) != 0) {
        drop_follower(manager, follower);
        return bx_fail_errno(err, ENOMEM, "logs");
    }
    if (!what->follow && follower->behind == NULL)
        finish(manager, follower);
    return 0;
}

/* ---- what happens ---- */

void follow_added(struct instance *instance)
{
    struct follower *follower;
    DL_FOREACH(instance->fleet->manager->fleets.followers, follower)
        if (follower->what.follow && is_wanted(follower, instance))
            add_tail(follower, instance); /* without memory it stays unheard */
}

void follow_printed(struct instance *instance)
{
    struct follow_tail *tail;
    DL_FOREACH(instance->tails, tail)
        if (!tail->behind && tail->follower->what.follow)
            set_behind(tail, !pump(tail));
}

void follow_removed(struct instance *instance)
{
    struct follow_tail *tail, *next;
    DL_FOREACH_SAFE(instance->tails, tail, next) {
        struct follower *follower = tail->follower;
        drop_tail(tail);
        if (follower->what.instance == instance || (!follower->what.follow && follower->behind == NULL))
            finish(instance->fleet->manager, follower);
    }
}

void follow_fleet_removed(struct fleet *fleet)
{
    struct follower *follower, *next;
    DL_FOREACH_SAFE(fleet->manager->fleets.followers, follower, next)
        if (follower->what.fleet == fleet)
            finish(fleet->manager, follower);
}

static void resume(struct manager *manager, struct follower *follower)
{
    struct follow_tail *tail, *next;
    DL_FOREACH_SAFE2(follower->behind, tail, next, next_behind) {
        if (!pump(tail))
            return;
        set_behind(tail, false);
    }
    if (!follower->what.follow)
        finish(manager, follower);
}

void follow_resume(struct client *client)
{
    struct follower *follower, *next;
    DL_FOREACH_SAFE(client->manager->fleets.followers, follower, next)
        if (follower->client == client && !client_backlogged(client))
            resume(client->manager, follower);
}

int follow_forget(struct client *client, uint32_t id)
{
    struct follower *follower, *next;
    int found = 0;
    DL_FOREACH_SAFE(client->manager->fleets.followers, follower, next) {
        if (follower->client != client || (id != 0 && follower->id != id))
            continue;
        drop_follower(client->manager, follower);
        found = 1;
    }
    return found;
}

void follow_fini(struct manager *manager)
{
    while (manager->fleets.followers != NULL)
        drop_follower(manager, manager->fleets.followers);
}
