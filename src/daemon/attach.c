/*
 * attach.c - a session's socket: one end goes down the lifeline, the other to the client. What passes over it
 * afterwards is none of our business, and cannot hurt us: we hold no end.
 */
#include "attach.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/control.h"
#include "common/socket.h"
#include "manager.h"
#include "streams.h"
#include "vm.h"

static uint32_t next_number(struct vm_sessions *sessions)
{
    uint32_t taken;
    do {
        sessions->last++;
        taken = sessions->last == 0;
        for (uint32_t i = 0; i < sessions->count; i++)
            taken |= sessions->numbers[i] == sessions->last;
    } while (taken);
    return sessions->last;
}

/* Non-blocking at both ends from the start: in its jail the VM could not make it so. */
static int make_pair(const struct vm *vm, int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -errno;
    return network_close_socket(vm, pair[1]);
}

static int check(const struct vm *vm, struct bx_error *err)
{
    if (vm->spec.serve == 0)
        return bx_fail(err, EINVAL, "VM '%s' runs its script and ends: it was not made to serve", vm->spec.name);
    if (!vm_is_running(vm))
        return bx_fail(err, ESRCH, "VM '%s' is ending", vm->spec.name);
    if (vm->sessions.count >= BX_SESSIONS_MAX)
        return bx_fail(err, EUSERS, "VM '%s' has %d sessions already: detach one first", vm->spec.name,
                       BX_SESSIONS_MAX);
    return 0;
}

int attach_client(struct vm *vm, struct client *client, uint32_t id, struct bx_error *err)
{
    int pair[2] = {-1, -1};
    int rc = check(vm, err);
    if (rc != 0)
        return rc;
    rc = make_pair(vm, pair);
    if (rc != 0)
        bx_close_all(pair, 2);
    if (rc != 0)
        return bx_fail_errno(err, -rc, "cannot make a session with VM '%s'", vm->spec.name);
    uint32_t number = next_number(&vm->sessions);
    struct lw_frame frame = {.type = LW_SESSION, .a = number};
    rc = streams_tell(vm, &frame, pair[1]);
    bx_close_all(&pair[1], 1);
    if (rc != 0) {
        bx_close_all(pair, 1);
        return rc == -EAGAIN ? bx_fail(err, EAGAIN, "VM '%s' does not take new sessions at the moment", vm->spec.name)
                             : bx_fail(err, ESRCH, "VM '%s' has ended", vm->spec.name);
    }
    vm->sessions.numbers[vm->sessions.count++] = number;
    client_send_fd(client, CTL_ATTACHED, id, vm->id, number, pair[0]);
    return 0;
}
