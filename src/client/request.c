/*
 * request.c - what is asked of the orchestrator. From any thread: a request is one message, which the kernel takes
 * whole or not at all, and its number is an atomic's.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/socket.h"
#include "common/vm_spec.h"
#include "manager.h"
#include "program.h"
#include "public.h"
#include "session.h"

uint32_t manager_next_id(bioxen_manager *manager)
{
    uint32_t id;
    do
        id = atomic_fetch_add(&manager->last_id, 1) + 1;
    while (id == 0);
    return id;
}

/* A full socket means that the orchestrator is busy: it always reads on, so that waiting ends. */
int request_send(bioxen_manager *manager, const struct iovec *parts, size_t count, const int *fds, unsigned fd_count,
                 struct bx_error *err)
{
    for (;;) {
        int rc = bx_send(manager->launched.control_fd, parts, count, fds, fd_count);
        if (rc == 0)
            return 0;
        if (rc != -EAGAIN)
            return rc == -EPIPE || rc == -ECONNRESET ? manager_gone(err)
                                                     : bx_fail_errno(err, -rc, "asking the orchestrator");
        struct pollfd ready = {manager->launched.control_fd, POLLOUT, 0};
        poll(&ready, 1, -1);
    }
}

int request_note(bioxen_manager *manager, uint32_t type, uint32_t id, const struct ctl_note *note, int fd,
                 struct bx_error *err)
{
    char frame[CTL_NOTE_MAX];
    struct iovec part = {frame, ctl_encode_note(type, id, note, frame)};
    if (part.iov_len == 0)
        return bx_fail(err, E2BIG, "a text of %u bytes is too long for the orchestrator", note->length);
    return request_send(manager, &part, 1, &fd, fd >= 0, err);
}

/* A request that has no answer of its own. */
static int tell(bioxen_manager *manager, uint32_t type, const struct ctl_note *note, int fd,
                struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int rc = request_note(manager, type, manager_next_id(manager), note, fd, &err);
    return rc == 0 ? 0 : public_fail(public_err, &err);
}

int bioxen_kill(bioxen_manager *manager, uint32_t vm, int signal, struct bioxen_error *err)
{
    struct ctl_note note = {.vm = vm, .number = (uint32_t)signal, .text = ""};
    return tell(manager, CTL_KILL, &note, -1, err);
}

int bioxen_stop(bioxen_manager *manager, uint32_t vm, unsigned grace_ms, struct bioxen_error *err)
{
    struct ctl_note note = {.vm = vm, .number = grace_ms, .text = ""};
    return tell(manager, CTL_STOP, &note, -1, err);
}

int bioxen_answer_no_module(bioxen_manager *manager, uint32_t vm, const char *why, struct bioxen_error *err)
{
    struct ctl_note note = {.vm = vm, .text = why, .length = (uint32_t)strnlen(why, UINT32_MAX)};
    return tell(manager, CTL_NO_MODULE, &note, -1, err);
}

int bioxen_answer_module(bioxen_manager *manager, uint32_t vm, const char *chunk_name, struct bioxen_string text,
                         struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int fd = program_memfd(NULL, 0, text, &err);
    if (fd < 0)
        return public_fail(public_err, &err);
    struct ctl_note note = {.vm = vm, .text = chunk_name, .length = (uint32_t)strnlen(chunk_name, UINT32_MAX)};
    int rc = tell(manager, CTL_MODULE, &note, fd, public_err);
    close(fd);
    return rc;
}

int bioxen_interrupt(bioxen_manager *manager, uint32_t vm, const bioxen_session *session, uint64_t call,
                     enum bioxen_reason reason, unsigned grace_ms, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    struct ctl_interrupt body = {vm, session != NULL ? session->number : 0, call, (uint32_t)reason, grace_ms};
    struct ctl_head head = {CTL_MAGIC, CTL_INTERRUPT, manager_next_id(manager), sizeof body};
    const struct iovec parts[] = {{&head, sizeof head}, {&body, sizeof body}};
    if ((session != NULL) != (call != 0))
        bx_fail(&err, EINVAL, "an interrupt names a session and one of its calls, or neither");
    else if (reason != BIOXEN_BY_TIMEOUT && reason != BIOXEN_BY_CLIENT)
        bx_fail(&err, EINVAL, "%d is no reason for an interrupt", (int)reason);
    else
        request_send(manager, parts, 2, NULL, 0, &err);
    return err.code == 0 ? 0 : public_fail(public_err, &err);
}

/* ---- creating ---- */

static int send_create(bioxen_manager *manager, const struct vm_spec *spec, uint32_t id, const int *fds,
                       struct bx_error *err)
{
    msgpack_sbuffer body;
    msgpack_sbuffer_init(&body);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    vm_spec_pack(&packer, spec);
    struct ctl_head head = {CTL_MAGIC, CTL_CREATE, id, (uint32_t)body.size};
    const struct iovec parts[] = {{&head, sizeof head}, {body.data, body.size}};
    int rc = request_send(manager, parts, 2, fds, 1 + spec->mount_count, err);
    msgpack_sbuffer_destroy(&body);
    return rc;
}

/* The directory of its modules is known before the VM can ask: another thread may hear of it at once. */
static int send_with_modules(bioxen_manager *manager, const struct bioxen_config *config, const struct vm_spec *spec,
                             uint32_t id, const int *fds, struct bx_error *err)
{
    int rc = modules_add(&manager->modules, config, id, err);
    if (rc != 0)
        return rc;
    rc = send_create(manager, spec, id, fds, err);
    if (rc != 0)
        modules_refused(&manager->modules, id);
    return rc;
}

int request_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t id, struct bx_error *err)
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
    rc = send_with_modules(manager, config, &spec, id, fds, err);
    close(fds[0]);
    return rc;
}

int bioxen_create_start(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *request,
                        struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    uint32_t id = manager_next_id(manager);
    if (request_create(manager, config, id, &err) != 0)
        return public_fail(public_err, &err);
    *request = id;
    return 0;
}

/* ---- requests that name a VM and nothing else ---- */

static int start_note(bioxen_manager *manager, uint32_t type, uint32_t vm, uint32_t *request,
                      struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    uint32_t id = manager_next_id(manager);
    struct ctl_note note = {.vm = vm, .text = ""};
    if (request_note(manager, type, id, &note, -1, &err) != 0)
        return public_fail(public_err, &err);
    *request = id;
    return 0;
}

int bioxen_attach_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err)
{
    return start_note(manager, CTL_ATTACH, vm, request, err);
}

int bioxen_network_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err)
{
    return start_note(manager, CTL_NETWORK, vm, request, err);
}

int bioxen_stats_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err)
{
    return start_note(manager, CTL_STATS, vm, request, err);
}
