/* manager.c - the client's side of the control socket: requests out, events in. */
#include "manager.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/socket.h"
#include "common/vm_spec.h"
#include "program.h"
#include "public.h"

/* An event that came while a reply was waited for. */
struct kept_frame {
    struct kept_frame *next;
    size_t length;
    char bytes[];
};

static int gone(struct bx_error *err)
{
    return bx_fail(err, EPIPE, "the orchestrator ended unexpectedly");
}

/* Not calloc: zeroing the frame would touch 32 pages, a tenth of a millisecond of every start. */
static bioxen_manager *manager_new(void)
{
    bioxen_manager *manager = malloc(sizeof *manager);
    if (manager == NULL)
        return NULL;
    manager->launched = (struct launched){.control_fd = -1};
    manager->last_id = 0;
    manager->kept = NULL;
    manager->record = (struct record){0};
    return manager;
}

int bioxen_open(bioxen_manager **out, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    bioxen_manager *manager = manager_new();
    int rc = manager == NULL ? bx_fail_errno(&err, ENOMEM, "manager") : launch_daemons(&manager->launched, &err);
    if (rc != 0) {
        free(manager);
        return public_fail(public_err, &err);
    }
    *out = manager;
    return 0;
}

void bioxen_close(bioxen_manager *manager)
{
    if (manager == NULL)
        return;
    close(manager->launched.control_fd);
    launch_wait(&manager->launched);
    while (manager->kept != NULL) {
        struct kept_frame *frame = manager->kept;
        manager->kept = frame->next;
        free(frame);
    }
    record_fini(&manager->record);
    free(manager);
}

int bioxen_fd(const bioxen_manager *manager)
{
    return manager->launched.control_fd;
}

/* ---- sending ---- */

/* A full socket means that the orchestrator is busy: it always reads on, so that waiting ends. */
static int send_all(bioxen_manager *manager, const struct iovec *parts, size_t count, const int *fds, unsigned fd_count,
                    struct bx_error *err)
{
    for (;;) {
        int rc = bx_send(manager->launched.control_fd, parts, count, fds, fd_count);
        if (rc == 0)
            return 0;
        if (rc != -EAGAIN)
            return rc == -EPIPE || rc == -ECONNRESET ? gone(err) : bx_fail_errno(err, -rc, "asking the orchestrator");
        struct pollfd ready = {manager->launched.control_fd, POLLOUT, 0};
        poll(&ready, 1, -1);
    }
}

static int send_note(bioxen_manager *manager, uint32_t type, const struct ctl_note *note, int fd,
                     struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    char frame[CTL_NOTE_MAX];
    struct iovec part = {frame, ctl_encode_note(type, ++manager->last_id, note, frame)};
    if (part.iov_len == 0)
        bx_fail(&err, E2BIG, "a text of %u bytes is too long for the orchestrator", note->length);
    else
        send_all(manager, &part, 1, &fd, fd >= 0, &err);
    return err.code == 0 ? 0 : public_fail(public_err, &err);
}

int bioxen_kill(bioxen_manager *manager, uint32_t vm, int signal, struct bioxen_error *err)
{
    struct ctl_note note = {.vm = vm, .number = (uint32_t)signal, .text = ""};
    return send_note(manager, CTL_KILL, &note, -1, err);
}

int bioxen_answer_no_module(bioxen_manager *manager, uint32_t vm, const char *why, struct bioxen_error *err)
{
    struct ctl_note note = {.vm = vm, .text = why, .length = (uint32_t)strlen(why)};
    return send_note(manager, CTL_NO_MODULE, &note, -1, err);
}

int bioxen_answer_module(bioxen_manager *manager, uint32_t vm, const char *chunk_name, struct bioxen_string text,
                         struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int fd = program_memfd(NULL, 0, text, &err);
    if (fd < 0)
        return public_fail(public_err, &err);
    struct ctl_note note = {.vm = vm, .text = chunk_name, .length = (uint32_t)strlen(chunk_name)};
    int rc = send_note(manager, CTL_MODULE, &note, fd, public_err);
    close(fd);
    return rc;
}

/* ---- receiving ---- */

/* Returns its length, 0 when the time is up, or -errno. */
static ssize_t receive(bioxen_manager *manager, int timeout_ms, struct bx_error *err)
{
    struct pollfd ready = {manager->launched.control_fd, POLLIN, 0};
    int rc = poll(&ready, 1, timeout_ms);
    if (rc <= 0)
        return rc == 0 ? 0 : bx_fail_errno(err, errno, "waiting for the orchestrator");
    unsigned fd_count = 0;
    ssize_t got = bx_receive(manager->launched.control_fd, manager->frame, sizeof manager->frame, NULL, 0,
                             &fd_count, 0);
    return got > 0 ? got : gone(err);
}

static int keep(bioxen_manager *manager, size_t length, struct bx_error *err)
{
    struct kept_frame *frame = malloc(sizeof *frame + length);
    if (frame == NULL)
        return bx_fail_errno(err, ENOMEM, "an event of the orchestrator");
    *frame = (struct kept_frame){.length = length};
    memcpy(frame->bytes, manager->frame, length);
    struct kept_frame **end = &manager->kept;
    while (*end != NULL)
        end = &(*end)->next;
    *end = frame;
    return 0;
}

static size_t take_kept(bioxen_manager *manager)
{
    struct kept_frame *frame = manager->kept;
    if (frame == NULL)
        return 0;
    size_t length = frame->length;
    memcpy(manager->frame, frame->bytes, length);
    manager->kept = frame->next;
    free(frame);
    return length;
}

/* A refused create, or, with no request's id, why the orchestrator ends. */
static int read_error(const struct ctl_head *head, const char *body, struct bx_error *err)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return gone(err);
    return bx_fail(err, note.number > 0 ? (int)note.number : EPIPE, "%.*s", (int)note.length, note.text);
}

static int bad_frame(struct bx_error *err)
{
    return bx_fail(err, EBADMSG,
                   "the orchestrator sent what this client does not understand: are both of one version?");
}

/* The reply to a create: its VM's number, or the error that it carries. */
static int read_created(const struct ctl_head *head, const char *body, uint32_t *vm, struct bx_error *err)
{
    if (head->type == CTL_ERROR)
        return read_error(head, body, err);
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return bad_frame(err);
    *vm = note.vm;
    return 0;
}

static int wait_created(bioxen_manager *manager, uint32_t id, uint32_t *vm, struct bx_error *err)
{
    for (;;) {
        ssize_t got = receive(manager, -1, err);
        if (got == -EINTR)
            continue; /* a signal that asks for the end is served once the VM's number is known */
        if (got < 0)
            return (int)got;
        struct ctl_head head;
        const char *body;
        if (ctl_decode_head(manager->frame, (size_t)got, &head, &body) != 0)
            return bad_frame(err);
        if (head.type == CTL_ERROR || (head.id == id && head.type == CTL_CREATED))
            return read_created(&head, body, vm, err);
        int rc = keep(manager, (size_t)got, err);
        if (rc != 0)
            return rc;
    }
}

/* ---- creating ---- */

static int send_create(bioxen_manager *manager, const struct vm_spec *spec, const int *fds, struct bx_error *err)
{
    msgpack_sbuffer body;
    msgpack_sbuffer_init(&body);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    vm_spec_pack(&packer, spec);
    struct ctl_head head = {CTL_MAGIC, CTL_CREATE, ++manager->last_id, (uint32_t)body.size};
    const struct iovec parts[] = {{&head, sizeof head}, {body.data, body.size}};
    int rc = send_all(manager, parts, 2, fds, 1 + spec->mount_count, err);
    msgpack_sbuffer_destroy(&body);
    return rc;
}

static int create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *vm, struct bx_error *err)
{
    struct vm_spec spec;
    int fds[1 + BX_MOUNTS_MAX];
    int rc = public_spec(config, &spec, fds + 1, err);
    if (rc == 0)
        rc = vm_spec_check(&spec, err);
    if (rc != 0)
        return rc;
    fds[0] = program_from_config(config, err);
    if (fds[0] < 0)
        return fds[0];
    rc = send_create(manager, &spec, fds, err);
    close(fds[0]);
    return rc == 0 ? wait_created(manager, manager->last_id, vm, err) : rc;
}

int bioxen_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *vm,
                  struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int rc = create(manager, config, vm, &err);
    return rc == 0 ? 0 : public_fail(public_err, &err);
}

/* ---- events ---- */

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

static int unpack_death(const msgpack_object *map, struct record *record, uint32_t *vm)
{
    const msgpack_object *number = bx_map_find(map, "vm"), *packed = bx_map_find(map, "record");
    if (number == NULL || packed == NULL || number->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return -EBADMSG;
    *vm = (uint32_t)number->via.u64;
    record_fini(record);
    *record = (struct record){0};
    return record_unpack(packed, record);
}

static int read_death(bioxen_manager *manager, const struct ctl_head *head, const char *body,
                      struct bioxen_event *event)
{
    msgpack_unpacked unpacked;
    if (bx_unpack(&unpacked, body, head->length) != 0)
        return -EBADMSG;
    int rc = unpack_death(&unpacked.data, &manager->record, &event->vm);
    msgpack_unpacked_destroy(&unpacked);
    event->type = BIOXEN_EVENT_DEATH;
    public_record(&manager->record, &event->record);
    return rc;
}

static int read_event(bioxen_manager *manager, size_t length, struct bioxen_event *event, struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    int rc = -EBADMSG;
    *event = (struct bioxen_event){0};
    if (ctl_decode_head(manager->frame, length, &head, &body) == 0) {
        switch (head.type) {
        case CTL_OUTPUT: rc = read_output(&head, body, event); break;
        case CTL_NEED: rc = read_need(&head, body, event); break;
        case CTL_DEATH: rc = read_death(manager, &head, body, event); break;
        case CTL_ERROR: return read_error(&head, body, err);
        }
    }
    return rc == 0 ? 0 : bad_frame(err);
}

int bioxen_next(bioxen_manager *manager, struct bioxen_event *event, int timeout_ms, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    ssize_t length = (ssize_t)take_kept(manager);
    if (length == 0)
        length = receive(manager, timeout_ms, &err);
    if (length == 0)
        return 0;
    if (length > 0 && read_event(manager, (size_t)length, event, &err) == 0)
        return 1;
    return public_fail(public_err, &err);
}
