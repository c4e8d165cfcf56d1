/* fuzz_jail_wire.c - requests to the jailer and its replies: what bioxend would send once it is subverted. */
#include "fuzz.h"

#include "common/jail_wire.h"

/* What the jailer relies on once a request was called sound. */
static void check_spawn(const struct jw_spawn *spawn, unsigned fds)
{
    PROMISE(spawn->profile == JW_RESTRICTED || spawn->profile == JW_FULL);
    PROMISE(spawn->mount_count <= BX_MOUNTS_MAX && fds == 3u + spawn->mount_count);
    PROMISE(spawn->low_port < JW_LOW_PORTS && (spawn->attach == 1 || spawn->low_port == 0));
    PROMISE(spawn->mount_count == 0 || spawn->profile == JW_FULL);
    PROMISE(spawn->memory_bytes >= BX_MEMORY_MIN && spawn->pids >= 1 && spawn->cpus_milli >= 10);
    PROMISE(memchr(spawn->hostname, '\0', sizeof spawn->hostname) != NULL);
    for (unsigned i = 0; i < spawn->mount_count; i++) {
        const char *target = spawn->mounts[i].target;
        PROMISE(target[0] == '/' && memchr(target, '\0', BX_MOUNT_TARGET_MAX) != NULL);
        PROMISE(strstr(target, "//") == NULL && strstr(target, "/../") == NULL && strstr(target, "/./") == NULL);
    }
}

static void check_net(const struct jw_request *request, unsigned fds)
{
    PROMISE(fds == 0);
    PROMISE(request->tag != 0 && (request->vm != 0) == (request->type == JW_ATTACH || request->type == JW_DROP));
    if (request->type == JW_ATTACH)
        PROMISE(request->attach.low_port < JW_LOW_PORTS);
    if (request->type == JW_WIRES) {
        PROMISE(request->wires.count >= 1 && request->wires.count <= JW_WIRES_MAX);
        for (unsigned i = 0; i < request->wires.count; i++) {
            const struct jw_wire *wire = &request->wires.wires[i];
            PROMISE(wire->from != 0 && wire->to != 0 && wire->from != wire->to && wire->port != 0 && wire->on <= 1);
            PROMISE(wire->protocol == JW_TCP || wire->protocol == JW_UDP);
        }
    }
    if (request->type == JW_SHAPE) {
        const struct jw_shape *shape = &request->shape;
        PROMISE(shape->from != 0 && shape->to != 0 && shape->from != shape->to && shape->rate <= BX_RATE_MAX);
        PROMISE(shape->rate == 0 || shape->rate >= BX_RATE_MIN);
        PROMISE(shape->delay_us <= BX_DELAY_MAX_US && shape->jitter_us <= BX_DELAY_MAX_US);
        PROMISE(shape->loss_ppm <= BX_LOSS_MAX_PPM);
    }
}

static void try_request(const void *bytes, size_t size, unsigned fds)
{
    if (jw_request_check(bytes, size, fds) != NULL)
        return;
    struct jw_request request;
    PROMISE(size == sizeof request);
    memcpy(&request, bytes, sizeof request);
    PROMISE(request.magic == JW_MAGIC);
    if (request.type == JW_SPAWN)
        check_spawn(&request.spawn, fds);
    else if (request.type >= JW_ATTACH && request.type <= JW_SHAPE)
        check_net(&request, fds);
    else
        PROMISE(fds == 0 && (request.type == JW_KILL || request.type == JW_STATS || request.type == JW_SHUTDOWN));
}

static void try_reply(const void *bytes, size_t size)
{
    if (jw_reply_check(bytes, size) != NULL)
        return;
    struct jw_reply reply;
    PROMISE(size == sizeof reply);
    memcpy(&reply, bytes, sizeof reply);
    PROMISE((reply.type >= JW_SPAWNED && reply.type <= JW_STATISTICS) || reply.type == JW_NET_DONE ||
            reply.type == JW_NET_FAILED);
    if (reply.type == JW_FAILED || reply.type == JW_NET_FAILED)
        PROMISE(memchr(reply.u.failed.text, '\0', sizeof reply.u.failed.text) != NULL);
}

/* Random bytes hardly ever carry the magic: the second half of the inputs gets it for nothing. */
static void try_with_magic(const uint8_t *data, size_t size, unsigned fds)
{
    const uint32_t magic = JW_MAGIC;
    struct jw_request request = {0};
    memcpy(&request, data, size < sizeof request ? size : sizeof request);
    memcpy(&request, &magic, sizeof magic);
    try_request(&request, sizeof request, fds);
    struct jw_reply reply = {0};
    memcpy(&reply, data, size < sizeof reply ? size : sizeof reply);
    memcpy(&reply, &magic, sizeof magic);
    try_reply(&reply, sizeof reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned fds = data[0] % 24;
    void *bytes = fuzz_exact(data + 1, size - 1);
    try_request(bytes, size - 1, fds);
    try_reply(bytes, size - 1);
    try_with_magic(bytes, size - 1, fds);
    free(bytes);
    return 0;
}
