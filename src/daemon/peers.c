/* peers.c - wires as each of their ends sees them, and what VMs ask about them. */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manager.h"
#include "vm.h"

/* ---- counting ---- */

static struct network_peer *find(const struct network_net *net, struct network_peer_key key)
{
    struct network_peer *peer;
    HASH_FIND(hh, net->peers, &key, sizeof key, peer);
    return peer;
}

static struct network_peer *find_or_make(struct network_net *net, struct network_peer_key key)
{
    struct network_peer *peer = find(net, key);
    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->key = key;
    HASH_ADD(hh, net->peers, key, sizeof peer->key, peer);
    return peer;
}

static void forget_unused(struct network_net *net, struct network_peer *peer)
{
    if (peer->out > 0 || peer->in > 0)
        return;
    HASH_DEL(net->peers, peer);
    free(peer);
}

/* What is not there is not taken away. */
static void change(struct network_net *net, struct network_peer_key key, int out, int in)
{
    struct network_peer *peer = find(net, key);
    if (peer == NULL)
        return;
    peer->out += peer->out > 0 || out > 0 ? (uint32_t)out : 0;
    peer->in += peer->in > 0 || in > 0 ? (uint32_t)in : 0;
    forget_unused(net, peer);
}

/* The entries of a wire at one of its ends. */
static int make_entries(struct network_net *net, uint32_t other, uint32_t port)
{
    struct network_peer *pair = find_or_make(net, (struct network_peer_key){other, 0});
    if (pair == NULL)
        return -ENOMEM;
    if (find_or_make(net, (struct network_peer_key){other, port}) != NULL)
        return 0;
    forget_unused(net, pair);
    return -ENOMEM;
}

static void count_end(struct network_net *net, uint32_t other, uint32_t port, int out, int in)
{
    change(net, (struct network_peer_key){other, 0}, out, in);
    change(net, (struct network_peer_key){other, port}, out, in);
}

static bool is_wired(const struct network_net *one, const struct network_net *other)
{
    return find(one, (struct network_peer_key){other->number, 0}) != NULL;
}

int peers_count(struct manager *manager, const struct jw_wire *wire)
{
    struct network_net *from = network_find(manager, wire->from), *to = network_find(manager, wire->to);
    if (from == NULL || to == NULL || from == to)
        return 0;
    bool before = is_wired(from, to);
    if (wire->on) {
        if (make_entries(from, to->number, wire->port) != 0)
            return -ENOMEM;
        if (make_entries(to, from->number, wire->port) != 0) {
            count_end(from, to->number, wire->port, 0, 0); /* what was made is not used */
            return -ENOMEM;
        }
    }
    int by = wire->on ? 1 : -1;
    count_end(from, to->number, wire->port, by, 0);
    count_end(to, from->number, wire->port, 0, by);
    return before != is_wired(from, to);
}

/* The other end's view of a wire. */
static void forget_mirror(struct manager *manager, const struct network_net *net, struct network_peer_key key)
{
    struct network_net *other = network_find(manager, key.net);
    struct network_peer *mirror = NULL;
    if (other != NULL && other != net)
        mirror = find(other, (struct network_peer_key){net->number, key.port});
    if (mirror == NULL)
        return;
    HASH_DEL(other->peers, mirror);
    free(mirror);
}

void peers_forget(struct manager *manager, struct network_net *net)
{
    struct network_peer *peer = net->peers, *next;
    HASH_CLEAR(hh, net->peers);
    for (; peer != NULL; peer = next) {
        next = peer->hh.next;
        forget_mirror(manager, net, peer->key);
        free(peer);
    }
}

/* ---- questions ---- */

bool peers_know(const struct network_net *one, const struct network_net *other)
{
    return one == other || (one->group != 0 && one->group == other->group) || is_wired(one, other);
}

void peers_address(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out)
{
    *out = (struct lw_frame){.type = LW_ADDRESS, .a = network_address(vm, question->text1, question->length1)};
}

void peers_name(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out)
{
    const struct network_net *found = NULL;
    uint32_t address = question->a <= UINT32_MAX ? (uint32_t)question->a : 0;
    *out = (struct lw_frame){.type = LW_NAME};
    if (vm->net != NULL && address != 0)
        found = network_at(vm->manager, address);
    if (found == NULL || !peers_know(vm->net, found))
        return;
    out->text1 = found->name.name;
    out->length1 = (uint32_t)strlen(found->name.name);
}

/* One line of the list, in the order in which lines are told: a cursor is what the next one begins with. */
struct line {
    uint64_t cursor;
    const struct network_net *net;
    uint8_t role;
};

static int compare(const void *a, const void *b)
{
    uint64_t one = ((const struct line *)a)->cursor, other = ((const struct line *)b)->cursor;
    return one < other ? -1 : one > other;
}

static uint64_t cursor_of(uint32_t net, uint32_t port)
{
    return (uint64_t)net << 16 | port;
}

static size_t add_wired(const struct vm *vm, struct line *lines)
{
    size_t count = 0;
    for (const struct network_peer *peer = vm->net->peers; peer != NULL; peer = peer->hh.next) {
        const struct network_net *net = network_find(vm->manager, peer->key.net);
        if (peer->key.port == 0 || net == NULL)
            continue;
        uint8_t role = (uint8_t)((peer->out > 0 ? LW_ROLE_SERVER : 0) | (peer->in > 0 ? LW_ROLE_CLIENT : 0));
        lines[count++] = (struct line){cursor_of(peer->key.net, peer->key.port), net, role};
    }
    return count;
}

static size_t add_group(const struct vm *vm, struct line *lines)
{
    size_t count = 0;
    if (vm->net->group == 0)
        return 0;
    for (const struct network_net *net = vm->manager->network.nets; net != NULL; net = net->hh.next)
        if (net != vm->net && net->group == vm->net->group)
            lines[count++] = (struct line){cursor_of(net->number, 0), net, LW_ROLE_PEER};
    return count;
}

static void write_lines(const struct line *lines, size_t count, uint64_t from, struct lw_frame *out, char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (lines[i].cursor < from)
            continue;
        const char *name = lines[i].net->name.name;
        const struct lw_peer peer = {.address = lines[i].net->address,
                                     .port = (uint16_t)lines[i].cursor,
                                     .role = lines[i].role,
                                     .name_length = (uint8_t)strlen(name)};
        if (lw_put_peer(&peer, name, text, BX_MESSAGE_MAX, &out->length1) != 0) {
            out->a = lines[i].cursor;
            return;
        }
    }
}

int peers_list(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out, char *text)
{
    *out = (struct lw_frame){.type = LW_PEERS, .text1 = text};
    if (vm->net == NULL)
        return 0;
    size_t most = HASH_COUNT(vm->net->peers) + (vm->net->group != 0 ? HASH_COUNT(vm->manager->network.nets) : 0);
    struct line *lines = calloc(most + 1, sizeof *lines);
    if (lines == NULL)
        return -ENOMEM;
    size_t count = add_wired(vm, lines);
    count += add_group(vm, lines + count);
    qsort(lines, count, sizeof *lines, compare);
    write_lines(lines, count, question->a, out, text);
    free(lines);
    return 0;
}
