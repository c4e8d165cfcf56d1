/*
 * jail_wire.c - the checks of every message on the link. They trust nothing but the length that the kernel
 * reports, read only inside it, and keep nothing.
 */
#include "jail_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "names.h"

#define HANDED_FDS 3u /* stdout, stderr, lifeline */

#define INODES_MAX 16777216u
#define LIMIT_BITS ((uint32_t)(JW_LIMIT_MEMORY | JW_LIMIT_CPUS | JW_LIMIT_PIDS | JW_LIMIT_CPU_TIME))

static bool all_zero(const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        if (byte[i] != 0)
            return false;
    return true;
}

/* Terminated inside its field, and nothing behind the end: no field carries a second message. */
static bool text_sound(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    return length < size && all_zero(text + length, size - length);
}

/*
 * A mount inside another mount would be made in a directory that strangers can write to; so would one inside
 * /tmp. Neither has a use that a second name does not serve.
 */
static const char *check_mount(const struct jw_spawn *spawn, unsigned index)
{
    const struct jw_mount *mount = &spawn->mounts[index];
    if (mount->writable > 1 || !all_zero(mount->pad, sizeof mount->pad))
        return "a mount's flags are not 0 or 1";
    if (!text_sound(mount->target, sizeof mount->target) || !bx_target_sound(mount->target))
        return "a mount's target is not an absolute path in normal form";
    if (bx_targets_overlap(mount->target, "/tmp"))
        return "a mount's target is /tmp or inside it, where the VM has its own scratch space";
    for (unsigned i = 0; i < index; i++)
        if (bx_targets_overlap(mount->target, spawn->mounts[i].target))
            return "one mount's target is inside another's";
    return NULL;
}

static const char *check_mounts(const struct jw_spawn *spawn)
{
    if (spawn->mount_count > BX_MOUNTS_MAX)
        return "too many mounts";
    if (spawn->mount_count > 0 && spawn->profile != JW_FULL)
        return "mounts need the profile full";
    for (unsigned i = 0; i < BX_MOUNTS_MAX; i++) {
        const char *wrong = NULL;
        if (i < spawn->mount_count)
            wrong = check_mount(spawn, i);
        else if (!all_zero(&spawn->mounts[i], sizeof spawn->mounts[i]))
            wrong = "bytes behind the last mount";
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

static const char *check_scratch(const struct jw_spawn *spawn)
{
    if (spawn->profile == JW_RESTRICTED)
        return spawn->tmp_bytes == 0 && spawn->tmp_inodes == 0 ? NULL
                                                               : "scratch space needs the profile full";
    if (spawn->tmp_bytes < 4096 || spawn->tmp_bytes > BX_BYTES_MAX)
        return "the size of /tmp is out of range";
    if (spawn->tmp_inodes < 2 || spawn->tmp_inodes > INODES_MAX)
        return "the number of inodes of /tmp is out of range";
    return NULL;
}

static const char *check_limits(const struct jw_spawn *spawn)
{
    if (spawn->memory_bytes < BX_MEMORY_MIN || spawn->memory_bytes > BX_BYTES_MAX)
        return "the memory limit is out of range";
    if (spawn->cpu_time_ms > BX_TIME_MAX_MS)
        return "the limit of CPU time is out of range";
    if (spawn->pids < 1 || spawn->pids > BX_PIDS_MAX)
        return "the limit of processes is out of range";
    if (spawn->cpus_milli < BX_CPUS_MILLI_MIN || spawn->cpus_milli > BX_CPUS_MILLI_MAX)
        return "the limit of processors is out of range";
    if ((spawn->required & ~LIMIT_BITS) != 0)
        return "an unknown limit is required";
    return NULL;
}

static const char *check_spawn(const struct jw_spawn *spawn, unsigned fds)
{
    if (spawn->profile > JW_FULL)
        return "unknown profile";
    if (!all_zero(spawn->pad, sizeof spawn->pad))
        return "bytes where none belong";
    if (spawn->attach > 1 || (spawn->net == 0 && spawn->attach != 0) ||
        (spawn->attach == 0 && (spawn->group != 0 || spawn->low_port != 0)))
        return "a net without a number, or a group or a port without a net";
    if (spawn->low_port >= JW_LOW_PORTS)
        return "a low port is out of range";
    if (!text_sound(spawn->hostname, sizeof spawn->hostname) || !bx_name_sound(spawn->hostname))
        return "the host name is not 1 to 63 letters, digits, '_', '-' or '.'";
    const char *wrong = check_limits(spawn);
    if (wrong == NULL)
        wrong = check_scratch(spawn);
    if (wrong == NULL)
        wrong = check_mounts(spawn);
    if (wrong == NULL && fds != HANDED_FDS + spawn->mount_count)
        wrong = "the number of descriptors does not fit the request";
    return wrong;
}

/* ---- the network ---- */

static const char *check_attach(const struct jw_attach *attach)
{
    return attach->low_port < JW_LOW_PORTS ? NULL : "a low port is out of range";
}

static const char *check_wire(const struct jw_wire *wire)
{
    if (wire->from == 0 || wire->to == 0)
        return "a wire has no end";
    if (wire->from == wire->to)
        return "a wire leads from a VM to itself";
    if (wire->port == 0 || (wire->protocol != JW_TCP && wire->protocol != JW_UDP) || wire->on > 1)
        return "a wire's port or protocol is out of range";
    return NULL;
}

static const char *check_wires(const struct jw_wires *wires)
{
    if (wires->count < 1 || wires->count > JW_WIRES_MAX || wires->pad != 0)
        return "the number of wires is out of range";
    const char *wrong = NULL;
    for (uint32_t i = 0; i < wires->count && wrong == NULL; i++)
        wrong = check_wire(&wires->wires[i]);
    if (wrong == NULL && !all_zero(&wires->wires[wires->count], (JW_WIRES_MAX - wires->count) * sizeof(struct jw_wire)))
        wrong = "bytes behind the last wire";
    return wrong;
}

static const char *check_shape(const struct jw_shape *shape)
{
    if (shape->from == 0 || shape->to == 0 || shape->from == shape->to || shape->pad != 0)
        return "a shaped way has no two ends";
    if (shape->rate != 0 && (shape->rate < BX_RATE_MIN || shape->rate > BX_RATE_MAX))
        return "a rate is out of range";
    if (shape->delay_us > BX_DELAY_MAX_US || shape->jitter_us > BX_DELAY_MAX_US || shape->loss_ppm > BX_LOSS_MAX_PPM)
        return "a delay, jitter or loss is out of range";
    return NULL;
}

/* `body` is of the request; `used` are its bytes that belong to its type. */
static const char *check_net(const struct jw_request *request, const char *wrong, size_t used, bool numbered)
{
    if ((request->vm != 0) != numbered || request->tag == 0)
        return "the net's number or the tag is missing or too much";
    if (wrong != NULL)
        return wrong;
    const char *body = (const char *)&request->spawn;
    return all_zero(body + used, sizeof request->spawn - used) ? NULL : "bytes where none belong";
}

static const char *check_body(const struct jw_request *request)
{
    switch (request->type) {
    case JW_ATTACH: return check_net(request, check_attach(&request->attach), sizeof request->attach, true);
    case JW_DROP: return check_net(request, NULL, 0, true);
    case JW_WIRES: return check_net(request, check_wires(&request->wires), sizeof request->wires, false);
    case JW_SHAPE: return check_net(request, check_shape(&request->shape), sizeof request->shape, false);
    default: return "unknown request";
    }
}

const char *jw_request_check(const void *bytes, uint64_t length, unsigned fds)
{
    struct jw_request request;
    if (length != sizeof request)
        return "the size of the request is wrong";
    memcpy(&request, bytes, sizeof request);
    if (request.magic != JW_MAGIC)
        return "the request is from another version of bioxen";
    if (request.type >= JW_ATTACH && request.type <= JW_SHAPE)
        return fds == 0 ? check_body(&request) : "bytes where none belong";
    if (request.tag != 0)
        return "bytes where none belong";
    switch (request.type) {
    case JW_SPAWN:
        return request.vm == 0 ? "the VM has no number" : check_spawn(&request.spawn, fds);
    case JW_KILL:
    case JW_STATS:
    case JW_SHUTDOWN:
        if ((request.type == JW_SHUTDOWN) != (request.vm == 0))
            return "the VM's number is missing or too much";
        return fds == 0 && all_zero(&request.spawn, sizeof request.spawn) ? NULL : "bytes where none belong";
    default:
        return "unknown request";
    }
}

static const char *check_spawned(const struct jw_spawned *spawned)
{
    if (spawned->pid <= 0)
        return "the VM has no process";
    if (spawned->memory_enforcer > JW_BY_CPU_TIMER || spawned->cpus_enforcer > JW_BY_CPU_TIMER ||
        spawned->pids_enforcer > JW_BY_CPU_TIMER || spawned->cpu_time_enforcer > JW_BY_CPU_TIMER)
        return "unknown enforcer";
    return NULL;
}

static const char *check_failed(const struct jw_failed *failed)
{
    if (failed->code <= 0)
        return "a failure without a code";
    return text_sound(failed->text, sizeof failed->text) ? NULL : "the text does not end";
}

/* CLD_EXITED, CLD_KILLED and CLD_DUMPED, without the headers of one platform: 1, 2 and 3 on Linux. */
static const char *check_death(const struct jw_death *death)
{
    if (death->wait_code < 1 || death->wait_code > 3 || death->wait_status < 0 || death->wait_status > 255)
        return "a death that is none";
    return death->cpu_time_hit <= 1 ? NULL : "bytes where none belong";
}

const char *jw_reply_check(const void *bytes, uint64_t length)
{
    struct jw_reply reply;
    if (length != sizeof reply)
        return "the size of the reply is wrong";
    memcpy(&reply, bytes, sizeof reply);
    if (reply.magic != JW_MAGIC)
        return "the reply is from another version of bioxen";
    bool of_net = reply.type == JW_NET_DONE || reply.type == JW_NET_FAILED;
    if ((reply.tag != 0) != of_net || (reply.vm == 0 && !of_net))
        return "the VM's number or the tag is missing, or bytes where none belong";
    size_t used;
    const char *wrong;
    switch (reply.type) {
    case JW_SPAWNED: used = sizeof reply.u.spawned, wrong = check_spawned(&reply.u.spawned); break;
    case JW_FAILED: used = sizeof reply.u.failed, wrong = check_failed(&reply.u.failed); break;
    case JW_DEATH: used = sizeof reply.u.death, wrong = check_death(&reply.u.death); break;
    case JW_STATISTICS: used = sizeof reply.u.statistics, wrong = NULL; break; /* any figure is one */
    case JW_NET_FAILED: used = sizeof reply.u.failed, wrong = check_failed(&reply.u.failed); break;
    case JW_NET_DONE: used = sizeof reply.u.net.address, wrong = NULL; break;
    default: return "unknown reply";
    }
    if (wrong != NULL)
        return wrong;
    return all_zero((const char *)&reply.u + used, sizeof reply.u - used) ? NULL : "bytes where none belong";
}
