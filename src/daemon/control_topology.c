/* control_topology.c - requests about topologies: form first, then sense, as in control.c. */
#include "control_topology.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "bundle.h"
#include "figures.h"
#include "follow.h"
#include "listing.h"
#include "manager.h"
#include "rollout.h"
#include "upload.h"
#include "vm.h"

/* TOPOLOGY/NAME, with the NUL. Longer ones name nothing. */
#define NAME_SIZE (2 * BX_NAME_MAX + 2)

struct request {
    struct client *client;
    struct manager *manager;
    uint32_t id;
    const char *body;
    size_t length;
    int *fds;
    unsigned fd_count;
};

static struct client_request later(const struct request *request)
{
    return (struct client_request){request->client->number, request->id};
}

static void refuse(const struct request *request, const struct bx_error *err)
{
    client_send_note(request->client, CTL_ERROR, request->id, 0, (uint32_t)err->code, err->text, strlen(err->text));
}

/* A note without descriptors, its text as a name. */
static int read_note(const struct request *request, struct ctl_note *note, char name[NAME_SIZE])
{
    if (ctl_decode_note(request->body, request->length, note) != 0 || request->fd_count != 0)
        return -EBADMSG;
    if (note->length >= NAME_SIZE || memchr(note->text, '\0', note->length) != NULL)
        return -EBADMSG;
    memcpy(name, note->text, note->length);
    name[note->length] = '\0';
    return 0;
}

/* The topology of that name; "" is all of them: NULL. */
static int find_fleet(const struct request *request, const char *name, struct fleet **out, struct bx_error *err)
{
    *out = name[0] != '\0' ? fleet_find(request->manager, name) : NULL;
    if (name[0] != '\0' && *out == NULL)
        return bx_fail(err, ENOENT, "there is no topology '%.100s'", name);
    return 0;
}

/* ---- up and down ---- */

static int handle_up(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    if (ctl_decode_note(request->body, request->length, &note) != 0 || request->fd_count != 1)
        return -EBADMSG;
    if (upload_begin(request->client, request->id, request->fds[0], &note, &err) != 0)
        refuse(request, &err);
    return 0;
}

static int handle_up_part(const struct request *request)
{
    struct bx_error err = {0};
    if (request->fd_count != 1)
        return -EBADMSG;
    int rc = upload_add(request->client, request->id, request->body, request->length, &request->fds[0], &err);
    if (rc != 0 && err.code != 0)
        refuse(request, &err);
    return rc != 0 && err.code == 0 ? rc : 0;
}

static int handle_up_go(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    if (ctl_decode_note(request->body, request->length, &note) != 0 || request->fd_count != 0 ||
        (note.number & ~(uint32_t)(CTL_UP_DRY_RUN | CTL_UP_WAIT)) != 0)
        return -EBADMSG;
    struct bundle *bundle = upload_take(request->client, request->id, &err);
    if (bundle != NULL)
        rollout_up(request->manager, bundle, later(request), note.number, &err);
    if (err.code != 0)
        refuse(request, &err);
    return 0;
}

static int handle_down(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    struct fleet *fleet;
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0)
        return -EBADMSG;
    if (find_fleet(request, name, &fleet, &err) != 0 ||
        rollout_down(request->manager, fleet, later(request), &err) != 0)
        refuse(request, &err);
    return 0;
}

/* ---- what is there ---- */

static int list(const struct request *request, uint32_t what, const struct fleet *fleet, struct bx_error *err)
{
    switch (what) {
    case CTL_LIST_VMS: listing_vms(request->manager, request->client, request->id, fleet); return 0;
    case CTL_LIST_TOPOLOGIES: listing_fleets(request->manager, request->client, request->id); return 0;
    case CTL_LIST_DEATHS: listing_deaths(request->manager, request->client, request->id, fleet); return 0;
    case CTL_LIST_STATS: return figures_ask(request->manager, fleet, later(request), err);
    default: return bx_fail(err, EINVAL, "there is no list number %u", what);
    }
}

static int handle_list(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    struct fleet *fleet;
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0)
        return -EBADMSG;
    if (find_fleet(request, name, &fleet, &err) != 0 || list(request, note.number, fleet, &err) != 0)
        refuse(request, &err);
    return 0;
}

static int handle_inspect(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0)
        return -EBADMSG;
    const struct instance *instance = fleets_resolve(request->manager, name, &err);
    if (instance != NULL)
        listing_inspect(request->client, request->id, instance);
    else
        refuse(request, &err);
    return 0;
}

/* ---- one VM, up and down ---- */

static int do_verb(const struct request *request, const struct ctl_note *note, struct instance *instance,
                   struct bx_error *err)
{
    bool up = note->vm == CTL_VERB_START || note->vm == CTL_VERB_RESTART;
    if (up && instance->fleet->rollout != NULL)
        return bx_fail(err, EBUSY, "the topology '%s' is being changed: wait until that is over",
                       instance->fleet->name);
    switch (note->vm) {
    case CTL_VERB_START: break;
    case CTL_VERB_STOP:
    case CTL_VERB_RESTART: instance_want(instance, false, note->number); break;
    case CTL_VERB_KILL: instance_stop(instance, 0, true); break;
    default: return bx_fail(err, EINVAL, "there is no verb number %u", note->vm);
    }
    if (up && (instance->vm == NULL || note->vm == CTL_VERB_RESTART || instance->state == INSTANCE_STOPPING))
        instance_want(instance, true, 0);
    if (instance->state == INSTANCE_FAILED && up)
        return bx_fail(err, EIO, "%s", instance->why != NULL ? instance->why : "it could not be started");
    return instance_wait(instance, later(request), up) == 0 ? 0 : bx_fail_errno(err, ENOMEM, "VM '%s'", instance->name);
}

static int handle_verb(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0)
        return -EBADMSG;
    struct instance *instance = fleets_resolve(request->manager, name, &err);
    if (instance == NULL || do_verb(request, &note, instance, &err) != 0)
        refuse(request, &err);
    return 0;
}

/* ---- logs and events ---- */

static int find_logs(const struct request *request, char *name, struct follow_what *what, struct bx_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || name[length - 1] != '/') {
        what->instance = fleets_resolve(request->manager, name, err);
        return what->instance != NULL ? 0 : -err->code;
    }
    name[length - 1] = '\0';
    return find_fleet(request, name, &what->fleet, err);
}

static int handle_logs(const struct request *request)
{
    struct ctl_logs logs;
    struct bx_error err = {0};
    struct ctl_bytes text;
    char name[NAME_SIZE];
    if (ctl_decode_logs(request->body, request->length, &logs, &text) != 0 || text.length >= NAME_SIZE ||
        request->fd_count != 0 || memchr(text.bytes, '\0', text.length) != NULL)
        return -EBADMSG;
    memcpy(name, text.bytes, text.length);
    name[text.length] = '\0';
    struct follow_what what = {.since_us = logs.since_us, .follow = logs.follow != 0};
    if (find_logs(request, name, &what, &err) != 0 ||
        follow_start(request->manager, request->client, request->id, &what, &err) != 0)
        refuse(request, &err);
    return 0;
}

static int handle_events(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    struct fleet *fleet;
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0)
        return -EBADMSG;
    if (find_fleet(request, name, &fleet, &err) != 0 ||
        feed_listen(request->manager, request->client, request->id, fleet, &err) != 0)
        refuse(request, &err);
    return 0;
}

static int handle_enough(const struct request *request)
{
    struct ctl_note note;
    struct answer answer;
    char name[NAME_SIZE];
    if (read_note(request, &note, name) != 0 || note.number == 0)
        return -EBADMSG;
    upload_drop(request->client, note.number);
    int found = feed_forget(request->client, note.number) | follow_forget(request->client, note.number);
    if (found == 0)
        return 0; /* it was answered already */
    answer_init(&answer);
    answer_map(&answer, 0);
    answer_finish(&answer, request->client, note.number);
    return 0;
}

enum { FIRST = CTL_UP };

static int (*const handlers[])(const struct request *) = {
    [CTL_UP - FIRST] = handle_up,
    [CTL_UP_PART - FIRST] = handle_up_part,
    [CTL_UP_GO - FIRST] = handle_up_go,
    [CTL_DOWN - FIRST] = handle_down,
    [CTL_LIST - FIRST] = handle_list,
    [CTL_INSPECT - FIRST] = handle_inspect,
    [CTL_VERB - FIRST] = handle_verb,
    [CTL_LOGS - FIRST] = handle_logs,
    [CTL_EVENTS - FIRST] = handle_events,
    [CTL_ENOUGH - FIRST] = handle_enough,
};

int control_topology(struct client *client, const struct ctl_head *head, const char *body, int *fds, unsigned fd_count)
{
    const struct request request = {client, client->manager, head->id, body, head->length, fds, fd_count};
    if (head->type < CTL_UP || head->type - CTL_UP >= sizeof handlers / sizeof *handlers)
        return -EBADMSG;
    return handlers[head->type - CTL_UP](&request);
}
