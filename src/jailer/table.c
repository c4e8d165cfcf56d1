/*
 * table.c - the requests of bioxend, one row each. Every request was checked for its form by
 * jw_request_check, is checked against the policy, and is answered; a message that bioxend never sends is the
 * end of the relation.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/socket.h"
#include "jailer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Descriptors that a VM in the private network may have beside the usual ones: a server with many clients. */
#define NETWORK_SOCKETS 512

/* The two sides of the fence name the same things. */
_Static_assert((int)SB_BY_CGROUP_V2 == (int)JW_BY_CGROUP_V2 && (int)SB_BY_CGROUP_V1 == (int)JW_BY_CGROUP_V1 &&
                   (int)SB_BY_RLIMIT == (int)JW_BY_RLIMIT && (int)SB_BY_SECCOMP == (int)JW_BY_SECCOMP &&
                   (int)SB_BY_SINGLE_THREAD == (int)JW_BY_SINGLE_THREAD,
               "enforcers");
_Static_assert((int)SB_LIMIT_MEMORY == (int)JW_LIMIT_MEMORY && (int)SB_LIMIT_CPUS == (int)JW_LIMIT_CPUS &&
                   (int)SB_LIMIT_PIDS == (int)JW_LIMIT_PIDS,
               "limits");
_Static_assert(SB_MOUNTS_MAX == BX_MOUNTS_MAX && SB_TARGET_MAX == BX_MOUNT_TARGET_MAX, "mounts");

/*
 * bioxend is the only reader. While it does not read, there is nothing better to do than to wait: nothing
 * that it was promised may get lost, and RLIMIT_CPU stands behind the timers.
 */
void jailer_reply(struct jailer *jailer, const struct jw_reply *reply)
{
    struct iovec part = {(void *)(uintptr_t)reply, sizeof *reply};
    while (jailer->link.fd >= 0 && bx_send(jailer->link.fd, &part, 1, NULL, 0) == -EAGAIN) {
        struct pollfd full = {.fd = jailer->link.fd, .events = POLLOUT};
        poll(&full, 1, -1);
    }
}

static void reply_failed(struct jailer *jailer, uint32_t number, const struct sb_error *err)
{
    struct jw_reply reply = {.magic = JW_MAGIC, .type = JW_FAILED, .vm = number};
    reply.u.failed.code = err->code;
    snprintf(reply.u.failed.text, sizeof reply.u.failed.text, "%s", err->text);
    jailer_reply(jailer, &reply);
}

static void reply_spawned(const struct vm *vm, const struct sb_plan *plan)
{
    struct jw_reply reply = {.magic = JW_MAGIC, .type = JW_SPAWNED, .vm = vm->number};
    reply.u.spawned = (struct jw_spawned){
        .pid = vm->jail.pid,
        .memory_enforcer = (uint8_t)plan->memory_by,
        .cpus_enforcer = (uint8_t)plan->cpus_by,
        .pids_enforcer = (uint8_t)plan->pids_by,
        .cpu_time_enforcer = vm->has_timer ? JW_BY_CPU_TIMER : JW_BY_NOTHING,
        .address = vm->address,
    };
    jailer_reply(vm->jailer, &reply);
}

static void fill_spec(const struct jw_spawn *spawn, const int *fds, struct sb_mount *mounts,
                      struct sb_spec *spec)
{
    static const char *const argv[2][2][4] = {
        [JW_RESTRICTED] = {{"bioxen-vm", "restricted", NULL}, {"bioxen-vm", "restricted", "networked", NULL}},
        [JW_FULL] = {{"bioxen-vm", "full", NULL}, {"bioxen-vm", "full", "networked", NULL}},
    };
    *spec = (struct sb_spec){
        .argv = argv[spawn->profile][spawn->net != 0],
        .handed = {fds[0], fds[1], fds[2]},
        .hostname = spawn->hostname,
        .limits = {spawn->memory_bytes, spawn->pids, spawn->cpus_milli},
        .required = spawn->required & (SB_LIMIT_MEMORY | SB_LIMIT_CPUS | SB_LIMIT_PIDS),
        .cpu_seconds = spawn->cpu_time_ms > 0 ? spawn->cpu_time_ms / 1000 + 2 : 0,
        .has_files = spawn->profile == JW_FULL,
        .sockets = spawn->net != 0 ? NETWORK_SOCKETS : 0,
        .tmp_bytes = spawn->tmp_bytes,
        .tmp_inodes = spawn->tmp_inodes,
        .mounts = mounts,
        .mount_count = spawn->mount_count,
    };
    for (unsigned i = 0; i < spawn->mount_count; i++)
        mounts[i] = (struct sb_mount){fds[3 + i], spawn->mounts[i].target, spawn->mounts[i].writable};
}

static int start_vm(struct jailer *jailer, struct vm *vm, const struct jw_spawn *spawn,
                    const struct sb_plan *plan, struct sb_error *err)
{
    int rc = sb_spawn(plan, &vm->jail, err);
    if (rc != 0) {
        vms_free(vm);
        return rc;
    }
    rc = reaper_watch(vm);
    if (rc == 0 && spawn->cpu_time_ms > 0)
        rc = timers_start(vm, spawn->cpu_time_ms);
    if (rc != 0) {
        *err = (struct sb_error){.code = -rc, .text = "the jailer cannot watch one VM more"};
        sb_jail_destroy(&jailer->host, &vm->jail);
        vms_free(vm);
        return rc;
    }
    reply_spawned(vm, plan);
    sb_jail_hold_mounts(&jailer->host, &vm->jail);
    return 0;
}

/* The net that it is to live in, connected if that was asked for. */
static int ready_net(struct jailer *jailer, const struct jw_spawn *spawn, struct net **out, struct sb_error *err)
{
    bool fresh = fabric_find(&jailer->fabric, spawn->net) == NULL;
    struct net *net = nets_get(jailer, spawn->net, err);
    if (net == NULL)
        return -err->code;
    int rc = 0;
    if (spawn->attach && net->slot == 0) {
        net->low_port = spawn->low_port;
        rc = fabric_attach(&jailer->fabric, &jailer->host, net, spawn->group, err);
    }
    if (rc == 0)
        *out = net;
    else if (fresh)
        nets_drop(jailer, net);
    return rc;
}

/* Born where its network is. */
static int start_in_net(struct jailer *jailer, struct vm *vm, const struct jw_spawn *spawn,
                        const struct sb_plan *plan, struct sb_error *err)
{
    int back = -1;
    struct net *net = NULL;
    bool fresh = spawn->net != 0 && fabric_find(&jailer->fabric, spawn->net) == NULL;
    int rc = spawn->net != 0 ? ready_net(jailer, spawn, &net, err) : 0;
    if (rc == 0 && net != NULL)
        rc = nets_enter(jailer, net, &back, err);
    if (rc != 0) {
        vms_free(vm);
        return rc;
    }
    vm->address = net != NULL && net->slot != 0 ? fabric_address(net) : 0;
    rc = start_vm(jailer, vm, spawn, plan, err);
    struct sb_error ignored;
    if (back >= 0 && fabric_return(back, &ignored) != 0) {
        jailer->net_ready = false;
        jailer->inside = net;
    }
    if (rc != 0 && fresh)
        nets_drop(jailer, net);
    if (rc == 0)
        prepare_after_spawn(jailer, spawn->net == 0); /* not earlier: this process must be where it says it is */
    return rc;
}

static int spawn_vm(struct jailer *jailer, const struct jw_request *request, const int *fds,
                    struct sb_error *err)
{
    static struct sb_plan plan; /* large, and used by one spawn at a time */
    struct sb_mount mounts[BX_MOUNTS_MAX];
    struct sb_spec spec;
    int rc = policy_check(jailer, request, fds, err);
    if (rc == 0)
        rc = prepare(jailer, request->spawn.net == 0, err);
    if (rc != 0)
        return rc;
    fill_spec(&request->spawn, fds, mounts, &spec);
    rc = sb_plan_make(&jailer->host, &spec, &plan, err);
    if (rc != 0)
        return rc;
    struct vm *vm = vms_new(jailer, request->vm);
    if (vm == NULL) {
        *err = (struct sb_error){.code = ENOMEM, .text = "the jailer has no memory left"};
        return -ENOMEM;
    }
    return start_in_net(jailer, vm, &request->spawn, &plan, err);
}

static void handle_spawn(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    struct sb_error err = jailer->start_error;
    int rc = err.code != 0 ? -err.code : spawn_vm(jailer, request, fds, &err);
    if (rc != 0)
        reply_failed(jailer, request->vm, &err);
}

static void handle_kill(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    (void)fds;
    struct vm *vm = vms_find(jailer, request->vm);
    if (vm != NULL)
        sb_jail_kill(&vm->jail);
}

static void handle_stats(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    (void)fds;
    struct vm *vm = vms_find(jailer, request->vm);
    if (vm == NULL)
        return;
    struct sb_usage usage;
    sb_jail_look(&jailer->host, &vm->jail, &usage);
    struct jw_reply reply = {.magic = JW_MAGIC, .type = JW_STATISTICS, .vm = request->vm};
    reply.u.statistics = (struct jw_statistics){usage.cpu_us, usage.memory, usage.memory_peak};
    jailer_reply(jailer, &reply);
}

static void handle_shutdown(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    (void)request;
    (void)fds;
    jailer_shut_down(jailer);
}

static const struct {
    uint32_t type;
    void (*handle)(struct jailer *jailer, const struct jw_request *request, const int *fds);
} requests[] = {
    {JW_SPAWN, handle_spawn},
    {JW_KILL, handle_kill},
    {JW_STATS, handle_stats},
    {JW_SHUTDOWN, handle_shutdown},
    {JW_ATTACH, handle_net},
    {JW_DROP, handle_net},
    {JW_WIRES, handle_net},
    {JW_SHAPE, handle_net},
};

void jailer_shut_down(struct jailer *jailer)
{
    jailer->closing = true;
    vms_kill_all(jailer);
    if (jailer->vm_count == 0)
        bx_loop_stop(&jailer->loop);
}

static void dispatch(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    for (unsigned i = 0; i < COUNT(requests); i++)
        if (requests[i].type == request->type)
            requests[i].handle(jailer, request, fds);
}

/*
 * A spawn that is well addressed but asks for something impossible (one mount inside another) has an answer.
 * Anything else that is not sound was not sent by the bioxend that we know.
 */
static void refuse(struct jailer *jailer, const struct jw_request *request, ssize_t length, const char *wrong)
{
    struct sb_error err = {.code = EINVAL};
    snprintf(err.text, sizeof err.text, "%s", wrong);
    if (length == sizeof *request && request->magic == JW_MAGIC && request->type == JW_SPAWN &&
        request->vm != 0)
        reply_failed(jailer, request->vm, &err);
    else
        jailer_shut_down(jailer);
}

void jailer_on_link(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)((char *)source - offsetof(struct jailer, link));
    static struct jw_request request;
    int fds[BX_FDS_MAX];
    unsigned count = 0;
    ssize_t got = bx_receive(source->fd, &request, sizeof request, fds, BX_FDS_MAX, &count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        bx_loop_close(&jailer->loop, source);
        jailer_shut_down(jailer);
        return;
    }
    const char *wrong = jw_request_check(&request, (uint64_t)got, count);
    if (wrong != NULL)
        refuse(jailer, &request, got, wrong);
    else
        dispatch(jailer, &request, fds);
    bx_close_all(fds, count);
}
