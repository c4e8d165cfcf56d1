/*
 * event.c - what the orchestrator says: replies to whoever waits for one, events to whoever asks. What the library
 * answers by itself (a VM's need of a module from a directory that it was given) nobody sees.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/socket.h"
#include "manager.h"
#include "public.h"
#include "session.h"

/* An event that came while something else was waited for. */
struct kept_frame {
    struct kept_frame *next;
    size_t length;
    int fd;
    char bytes[];
};

int manager_gone(struct bx_error *err)
{
    return bx_fail(err, EPIPE, "the orchestrator ended unexpectedly");
}

static int bad_frame(struct bx_error *err)
{
    return bx_fail(err, EBADMSG,
                   "the orchestrator sent what this client does not understand: are both of one version?");
}

/* ---- receiving ---- */

/* Returns the length, 0 when nothing is there, or -errno. */
static ssize_t receive_now(bioxen_manager *manager, struct bx_error *err)
{
    unsigned count = 0;
    bx_close_all(&manager->frame_fd, 1); /* nobody took it */
    ssize_t got = bx_receive(manager->launched.control_fd, manager->frame, sizeof manager->frame, &manager->frame_fd, 1,
                             &count, MSG_DONTWAIT);
    if (count == 0)
        manager->frame_fd = -1;
    if (got == -EAGAIN)
        return 0;
    return got > 0 ? got : manager_gone(err);
}

/* The same, when something is there or the time is up. */
static ssize_t receive(bioxen_manager *manager, int timeout_ms, struct bx_error *err)
{
    struct pollfd ready = {manager->launched.control_fd, POLLIN, 0};
    int rc = poll(&ready, 1, timeout_ms);
    if (rc <= 0)
        return rc == 0 ? 0 : bx_fail_errno(err, errno, "waiting for the orchestrator");
    return receive_now(manager, err);
}

static int keep(bioxen_manager *manager, size_t length, struct bx_error *err)
{
    struct kept_frame *frame = malloc(sizeof *frame + length);
    if (frame == NULL)
        return bx_fail_errno(err, ENOMEM, "an event of the orchestrator");
    *frame = (struct kept_frame){.length = length, .fd = manager->frame_fd};
    manager->frame_fd = -1;
    memcpy(frame->bytes, manager->frame, length);
    if (manager->last_kept != NULL)
        manager->last_kept->next = frame;
    else
        manager->kept = frame;
    manager->last_kept = frame;
    return 0;
}

/* Takes the frame behind `before` (NULL: the first) out, as if it came now. Returns its length. */
static size_t take_behind(bioxen_manager *manager, struct kept_frame *before)
{
    struct kept_frame *frame = before != NULL ? before->next : manager->kept;
    size_t length = frame->length;
    memcpy(manager->frame, frame->bytes, length);
    bx_close_all(&manager->frame_fd, 1);
    manager->frame_fd = frame->fd;
    *(before != NULL ? &before->next : &manager->kept) = frame->next;
    if (manager->last_kept == frame)
        manager->last_kept = before;
    free(frame);
    return length;
}

static size_t take_kept(bioxen_manager *manager)
{
    return manager->kept != NULL ? take_behind(manager, NULL) : 0;
}

void manager_drop_kept(bioxen_manager *manager)
{
    while (manager->kept != NULL) {
        struct kept_frame *frame = manager->kept;
        manager->kept = frame->next;
        bx_close_all(&frame->fd, 1);
        free(frame);
    }
    manager->last_kept = NULL;
}

/* ---- what the library answers by itself ---- */

static void answer_need(bioxen_manager *manager, uint32_t vm, struct module_dir *dir, struct bioxen_string name)
{
    struct module module;
    struct bioxen_error err;
    char *why;
    if (module_find(dir, name, &module, &why) != 0) {
        (void)bioxen_answer_no_module(manager, vm, why != NULL ? why : "\n\tout of memory", NULL);
        free(why);
        return;
    }
    struct bioxen_string text = {module.text, module.length};
    if (bioxen_answer_module(manager, vm, module.chunk, text, &err) != 0)
        (void)bioxen_answer_no_module(manager, vm, err.text, NULL);
    free(module.chunk);
    free(module.text);
}

static void absorb_death(bioxen_manager *manager, const char *body, size_t length)
{
    msgpack_unpacked unpacked;
    if (manager->modules.count == 0 || bx_unpack(&unpacked, body, length) != 0)
        return;
    const msgpack_object *vm = bx_map_find(&unpacked.data, "vm");
    if (vm != NULL && vm->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        modules_died(&manager->modules, (uint32_t)vm->via.u64);
    msgpack_unpacked_destroy(&unpacked);
}

/* Sees each message once, in the order in which they come. Returns 1 when nobody else is to see it. */
static int absorb(bioxen_manager *manager, const struct ctl_head *head, const char *body)
{
    struct ctl_note note;
    struct module_dir *dir;
    switch (head->type) {
    case CTL_CREATED:
        if (ctl_decode_note(body, head->length, &note) == 0)
            modules_created(&manager->modules, head->id, note.vm);
        return 0;
    case CTL_ERROR: modules_refused(&manager->modules, head->id); return 0;
    case CTL_DEATH: absorb_death(manager, body, head->length); return 0;
    case CTL_NEED:
        if (ctl_decode_note(body, head->length, &note) != 0)
            return 0;
        dir = modules_of(&manager->modules, note.vm);
        if (dir == NULL)
            return 0;
        answer_need(manager, note.vm, dir, (struct bioxen_string){note.text, note.length});
        return 1;
    default: return 0;
    }
}

/* Decodes what came; 0 when it was absorbed. */
static int look(bioxen_manager *manager, size_t length, struct ctl_head *head, const char **body, struct bx_error *err)
{
    if (ctl_decode_head(manager->frame, length, head, body) != 0 ||
        (manager->frame_fd >= 0) != (head->type == CTL_ATTACHED))
        return bad_frame(err);
    return !absorb(manager, head, *body);
}

int manager_take_waiting(bioxen_manager *manager, struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    for (;;) {
        ssize_t got = receive_now(manager, err);
        if (got <= 0)
            return (int)got;
        int rc = look(manager, (size_t)got, &head, &body, err);
        if (rc == 1)
            rc = keep(manager, (size_t)got, err);
        if (rc != 0)
            return rc;
    }
}

/* ---- reading ---- */

/* A refused request, or, with no request's number, why the orchestrator ends. */
static int read_error(const struct ctl_head *head, const char *body, struct bx_error *err)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return manager_gone(err);
    return bx_fail(err, note.number > 0 && note.number < 4096 ? (int)note.number : EPIPE, "%.*s", (int)note.length,
                   note.text);
}

static int read_created(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_CREATED;
    event->vm = note.vm;
    return 0;
}

static int read_networked(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_NETWORKED;
    event->vm = note.vm;
    event->address = note.number;
    return 0;
}

static int read_attached(bioxen_manager *manager, const struct ctl_head *head, const char *body,
                         struct bioxen_event *event)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0 || note.number == 0)
        return -EBADMSG;
    event->session = session_new(manager->frame_fd, note.vm, note.number);
    if (event->session == NULL)
        return -ENOMEM;
    manager->frame_fd = -1;
    event->type = BIOXEN_EVENT_ATTACHED;
    event->vm = note.vm;
    return 0;
}

static int read_stats(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_statistics from;
    if (ctl_decode_statistics(body, head->length, &from) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_STATS;
    event->vm = from.vm;
    event->stats = (struct bioxen_stats){
        .sessions = from.sessions,
        .uptime_us = from.uptime_us,
        .cpu_us = from.cpu_us,
        .memory = from.memory,
        .memory_peak = from.memory_peak,
        .output_bytes = from.output_bytes,
    };
    return 0;
}

static int read_refused(const struct ctl_head *head, const char *body, struct bioxen_event *event, struct bx_error *err)
{
    if (head->id == 0)
        return read_error(head, body, err);
    struct bx_error why = {0};
    read_error(head, body, &why);
    public_fail(&event->error, &why);
    event->type = BIOXEN_EVENT_REFUSED;
    return 0;
}

static int read_output(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_output output;
    if (head->length < sizeof output)
        return -EBADMSG;
    memcpy(&output, body, sizeof output);
    event->type = BIOXEN_EVENT_OUTPUT;
    event->vm = output.vm;
    event->stream = (int)output.stream;
    event->bytes = (struct bioxen_string){body + sizeof output, head->length - sizeof output};
    return 0;
}

static int read_need(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_NEED;
    event->vm = note.vm;
    event->bytes = (struct bioxen_string){note.text, note.length};
    return 0;
}

static int read_death(bioxen_manager *manager, const struct ctl_head *head, const char *body,
                      struct bioxen_event *event)
{
    msgpack_unpacked unpacked;
    if (bx_unpack(&unpacked, body, head->length) != 0)
        return -EBADMSG;
    struct death_frame *frame = &manager->death;
    record_fini(&manager->record);
    manager->record = (struct record){0};
    bx_text_fini(&frame->why);
    *frame = (struct death_frame){0};
    int rc = death_frame_unpack(&unpacked.data, frame, &manager->record);
    msgpack_unpacked_destroy(&unpacked);
    event->type = head->type == CTL_DEATH ? BIOXEN_EVENT_DEATH : BIOXEN_EVENT_ENDED;
    event->vm = frame->vm;
    event->wait_us = frame->wait_us;
    event->why = (struct bioxen_string){frame->why.bytes != NULL ? frame->why.bytes : "", frame->why.length};
    public_record(&manager->record, &event->record);
    return rc;
}

static int read_log(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_log log;
    struct ctl_bytes name, bytes;
    if (ctl_decode_log(body, head->length, &log, &name, &bytes) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_LOG;
    event->vm = log.vm;
    event->stream = (int)log.stream;
    event->time_us = log.time_us;
    event->skipped = log.skipped;
    event->name = (struct bioxen_string){name.bytes, name.length};
    event->bytes = (struct bioxen_string){bytes.bytes, bytes.length};
    return 0;
}

/* Returns 1 with an event, 0 when there is more to come, or -errno. */
static int read_answer(bioxen_manager *manager, const struct ctl_head *head, const char *body,
                       struct bioxen_event *event, struct bx_error *err)
{
    int rc = answer_add(&manager->coming, body, head->length, head->type != CTL_ANSWER_PART, err);
    if (rc != 1)
        return rc;
    bioxen_answer_free(manager->shown);
    manager->shown = manager->coming;
    manager->coming = NULL;
    event->type = head->type == CTL_CHANGE ? BIOXEN_EVENT_CHANGE : BIOXEN_EVENT_ANSWER;
    event->node = bioxen_answer_node(manager->shown);
    return 1;
}

static int read_again(const struct ctl_head *head, const char *body, struct bioxen_event *event)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return -EBADMSG;
    event->type = BIOXEN_EVENT_AGAIN;
    event->vm = note.vm;
    event->restarts = note.number;
    return 0;
}

/* Returns 1 with an event, 0 when that was a part of one, or -errno. */
static int read_event(bioxen_manager *manager, const struct ctl_head *head, const char *body,
                      struct bioxen_event *event, struct bx_error *err)
{
    int rc = -EBADMSG;
    *event = (struct bioxen_event){.request = head->id};
    switch (head->type) {
    case CTL_CREATED: rc = read_created(head, body, event); break;
    case CTL_ERROR: rc = read_refused(head, body, event, err); return rc == 0 ? 1 : rc;
    case CTL_ANSWER_PART:
    case CTL_ANSWER:
    case CTL_CHANGE: return read_answer(manager, head, body, event, err);
    case CTL_OUTPUT: rc = read_output(head, body, event); break;
    case CTL_DEATH:
    case CTL_ENDED: rc = read_death(manager, head, body, event); break;
    case CTL_AGAIN: rc = read_again(head, body, event); break;
    case CTL_NEED: rc = read_need(head, body, event); break;
    case CTL_ATTACHED: rc = read_attached(manager, head, body, event); break;
    case CTL_STATISTICS: rc = read_stats(head, body, event); break;
    case CTL_NETWORKED: rc = read_networked(head, body, event); break;
    case CTL_LOG: rc = read_log(head, body, event); break;
    case CTL_DONE:
        event->type = BIOXEN_EVENT_DONE;
        rc = 0;
        break;
    }
    if (rc == -ENOMEM)
        return bx_fail_errno(err, ENOMEM, "an event of the orchestrator");
    return rc == 0 ? 1 : bad_frame(err);
}

/* ---- events ---- */

/* Returns 1 with an event, 0 when the time is up, or -errno. */
static int next_event(bioxen_manager *manager, struct bioxen_event *event, int timeout_ms, struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    uint64_t deadline = timeout_ms > 0 ? bx_now_us() + timeout_ms * UINT64_C(1000) : 0;
    for (;;) {
        size_t kept = take_kept(manager);
        ssize_t got = kept > 0 ? (ssize_t)kept : receive(manager, timeout_ms, err);
        if (got <= 0)
            return (int)got;
        int rc = 1;
        if (kept == 0)
            rc = look(manager, (size_t)got, &head, &body, err);
        else if (ctl_decode_head(manager->frame, kept, &head, &body) != 0) /* it was looked at when it came */
            rc = bad_frame(err);
        if (rc == 1)
            rc = read_event(manager, &head, body, event, err);
        if (rc != 0)
            return rc;
        if (timeout_ms > 0)
            timeout_ms = bx_ms_until(deadline);
    }
}

int bioxen_next(bioxen_manager *manager, struct bioxen_event *event, int timeout_ms, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int rc = next_event(manager, event, timeout_ms, &err);
    return rc >= 0 ? rc : public_fail(public_err, &err);
}

/* ---- calls that wait for their reply ---- */

/* Returns 0 with the reply, 1 when the message was another, which is kept, or -errno. */
static int take_reply(bioxen_manager *manager, size_t length, uint32_t id, struct bioxen_event *event,
                      struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    int rc = look(manager, length, &head, &body, err);
    if (rc < 0)
        return rc;
    if (rc == 1 && head.type == CTL_ERROR && (head.id == id || head.id == 0))
        return read_error(&head, body, err);
    if (rc == 1 && head.id == id) {
        rc = read_event(manager, &head, body, event, err);
        return rc < 0 ? rc : 0;
    }
    rc = rc == 1 ? keep(manager, length, err) : 0;
    return rc == 0 ? 1 : rc;
}

/* Without an end by signals: whoever asked has to hear what became of it. */
static int wait_reply(bioxen_manager *manager, uint32_t id, enum bioxen_event_type type, struct bioxen_event *event,
                      struct bx_error *err)
{
    for (;;) {
        ssize_t got = receive(manager, -1, err);
        if (got == -EINTR || got == 0)
            continue;
        if (got < 0)
            return (int)got;
        int rc = take_reply(manager, (size_t)got, id, event, err);
        if (rc == 1)
            continue;
        if (rc == 0 && event->type != type)
            rc = bad_frame(err);
        return rc;
    }
}

int bioxen_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *vm,
                  struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    struct bioxen_event event = {0};
    uint32_t id = manager_next_id(manager);
    int rc = request_create(manager, config, id, &err);
    if (rc == 0)
        rc = wait_reply(manager, id, BIOXEN_EVENT_CREATED, &event, &err);
    if (rc != 0)
        return public_fail(public_err, &err);
    *vm = event.vm;
    return 0;
}

static int ask_with_fd(bioxen_manager *manager, uint32_t type, uint32_t vm, int fd, enum bioxen_event_type answer,
                       struct bioxen_event *event, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    uint32_t id = manager_next_id(manager);
    struct ctl_note note = {.vm = vm, .text = ""};
    int rc = request_note(manager, type, id, &note, fd, &err);
    if (rc == 0)
        rc = wait_reply(manager, id, answer, event, &err);
    return rc == 0 ? 0 : public_fail(public_err, &err);
}

static int ask_and_wait(bioxen_manager *manager, uint32_t type, uint32_t vm, enum bioxen_event_type answer,
                        struct bioxen_event *event, struct bioxen_error *err)
{
    return ask_with_fd(manager, type, vm, -1, answer, event, err);
}

int bioxen_attach(bioxen_manager *manager, uint32_t vm, bioxen_session **out, struct bioxen_error *err)
{
    struct bioxen_event event = {0};
    int rc = ask_and_wait(manager, CTL_ATTACH, vm, BIOXEN_EVENT_ATTACHED, &event, err);
    if (rc == 0)
        *out = event.session;
    return rc;
}

int bioxen_stats(bioxen_manager *manager, uint32_t vm, struct bioxen_stats *out, struct bioxen_error *err)
{
    struct bioxen_event event = {0};
    int rc = ask_and_wait(manager, CTL_STATS, vm, BIOXEN_EVENT_STATS, &event, err);
    if (rc == 0)
        *out = event.stats;
    return rc;
}

int bioxen_network(bioxen_manager *manager, uint32_t vm, uint32_t *address, struct bioxen_error *err)
{
    struct bioxen_event event = {0};
    int rc = ask_and_wait(manager, CTL_NETWORK, vm, BIOXEN_EVENT_NETWORKED, &event, err);
    if (rc == 0 && address != NULL)
        *address = event.address;
    return rc;
}

int bioxen_listen(bioxen_manager *manager, int fd, struct bioxen_error *err)
{
    struct bioxen_event event = {0};
    return ask_with_fd(manager, CTL_LISTEN, 0, fd, BIOXEN_EVENT_DONE, &event, err);
}

/* Looks through what was kept. Returns 1 with the message, 0, or -errno. */
static int find_kept(bioxen_manager *manager, bool (*wanted)(const struct ctl_head *, const char *, void *),
                     void *context, struct ctl_head *head, const char **body, struct bx_error *err)
{
    struct kept_frame *before = NULL;
    for (struct kept_frame *at = manager->kept; at != NULL; before = at, at = at->next) {
        if (ctl_decode_head(at->bytes, at->length, head, body) != 0)
            return bad_frame(err);
        if (!wanted(head, *body, context))
            continue;
        size_t length = take_behind(manager, before);
        return ctl_decode_head(manager->frame, length, head, body) == 0 ? 1 : bad_frame(err);
    }
    return 0;
}

int manager_wait_kept(bioxen_manager *manager, bool (*wanted)(const struct ctl_head *, const char *, void *),
                      void *context, struct ctl_head *head, const char **body, struct bx_error *err)
{
    int rc = find_kept(manager, wanted, context, head, body, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return manager_wait(manager, wanted, context, head, body, err);
}

int manager_wait(bioxen_manager *manager, bool (*wanted)(const struct ctl_head *, const char *, void *), void *context,
                 struct ctl_head *head, const char **body, struct bx_error *err)
{
    for (;;) {
        ssize_t got = receive(manager, -1, err);
        if (got == -EINTR || got == 0)
            continue;
        if (got < 0)
            return (int)got;
        int rc = look(manager, (size_t)got, head, body, err);
        if (rc == 1 && head->type == CTL_ERROR && head->id == 0)
            return read_error(head, *body, err);
        if (rc == 1 && wanted(head, *body, context))
            return 0;
        if (rc == 1)
            rc = keep(manager, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}
