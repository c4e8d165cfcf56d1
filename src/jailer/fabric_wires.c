/*
 * fabric_wires.c - who may talk to whom: the list of wires, and its copy in the router's rules.
 *
 * The list is kept to undo: when a net is dropped, every permission that names its address goes with it, before
 * somebody else can get that address.
 */
#include "jailer/fabric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jailer/nft.h"

/* Elements that one transaction removes: what fits into a batch beside a net's own. */
#define REMOVED_MAX ((NETLINK_BATCH_MAX - 12) * NETLINK_ELEMENTS_MAX)

/* ---- lists ---- */

static void insert(struct between *between, int side, struct between **head)
{
    between->next[side] = *head;
    between->at[side] = head;
    if (*head != NULL)
        (*head)->at[side] = &between->next[side];
    *head = between;
}

void between_insert(struct between *between, struct between **leaving, struct between **arriving)
{
    insert(between, LEAVING, leaving);
    insert(between, ARRIVING, arriving);
}

void between_remove(struct between *between)
{
    for (int side = 0; side < 2; side++) {
        *between->at[side] = between->next[side];
        if (between->next[side] != NULL)
            between->next[side]->at[side] = between->at[side];
    }
}

static struct between *find_wire(const struct net *from, const struct net *to, const struct jw_wire *wanted)
{
    struct between *wire = from->wires[LEAVING];
    while (wire != NULL && (wire->to != to || wire->port != wanted->port || wire->protocol != wanted->protocol))
        wire = wire->next[LEAVING];
    return wire;
}

static struct nft_element element_of(const struct between *wire)
{
    return (struct nft_element){
        {fabric_address(wire->from), fabric_address(wire->to), wire->protocol, wire->port}, 0};
}

/* ---- a list of changes: first everything is looked up and made, then one transaction, then the lists change ---- */

struct change {
    struct between *added[JW_WIRES_MAX], *removed[JW_WIRES_MAX];
    unsigned added_count, removed_count;
};

static int plan_wire(struct fabric *fabric, const struct jw_wire *wanted, struct change *change, struct sb_error *err)
{
    struct net *from = fabric_find(fabric, wanted->from), *to = fabric_find(fabric, wanted->to);
    if (from == NULL || to == NULL || from->slot == 0 || to->slot == 0)
        return fabric_fail(err, ENOENT, "a wire's end is not in the private network");
    if (!wanted->on) {
        struct between *wire = find_wire(from, to, wanted);
        if (wire == NULL)
            return fabric_fail(err, ENOENT, "there is no such wire");
        change->removed[change->removed_count++] = wire;
        return 0;
    }
    if (fabric->wires + change->added_count >= FABRIC_WIRES_MAX)
        return fabric_fail(err, ENOSPC, "too many wires");
    struct between *wire = calloc(1, sizeof *wire);
    if (wire == NULL)
        return fabric_fail(err, ENOMEM, "the jailer cannot keep one wire more");
    *wire = (struct between){.from = from, .to = to, .port = wanted->port, .protocol = wanted->protocol};
    change->added[change->added_count++] = wire;
    return 0;
}

static int commit(struct fabric *fabric, const struct change *change)
{
    static struct nft_element elements[JW_WIRES_MAX];
    nft_begin(&fabric->filter);
    for (unsigned i = 0; i < change->removed_count; i++)
        elements[i] = element_of(change->removed[i]);
    nft_remove(&fabric->filter, NFT_WIRES, elements, change->removed_count);
    for (unsigned i = 0; i < change->added_count; i++)
        elements[i] = element_of(change->added[i]);
    nft_add(&fabric->filter, NFT_WIRES, elements, change->added_count);
    return nft_commit(&fabric->filter);
}

static void forget(struct fabric *fabric, struct between *wire)
{
    between_remove(wire);
    free(wire);
    fabric->wires--;
}

static void finish(struct fabric *fabric, const struct change *change)
{
    for (unsigned i = 0; i < change->added_count; i++) {
        struct between *wire = change->added[i];
        between_insert(wire, &wire->from->wires[LEAVING], &wire->to->wires[ARRIVING]);
        fabric->wires++;
    }
    for (unsigned i = 0; i < change->removed_count; i++)
        forget(fabric, change->removed[i]);
}

int fabric_wire(struct fabric *fabric, const struct jw_wires *wires, struct sb_error *err)
{
    static struct change change;
    change.added_count = change.removed_count = 0;
    int rc = 0;
    for (uint32_t i = 0; i < wires->count && rc == 0; i++)
        rc = plan_wire(fabric, &wires->wires[i], &change, err);
    if (rc == 0) {
        rc = commit(fabric, &change);
        if (rc == 0)
            finish(fabric, &change);
        else
            fabric_fail(err, -rc,
                        rc == -EEXIST ? "a wire is there already" : "cannot change the rules of the private network");
    }
    for (unsigned i = 0; i < change.added_count && rc != 0; i++)
        free(change.added[i]);
    return rc;
}

/* ---- everything of a net ---- */

static void remove_membership(struct fabric *fabric, const struct net *net)
{
    const uint32_t address = fabric_address(net);
    nft_remove(&fabric->filter, NFT_MEMBERS, &(struct nft_element){{FABRIC_FIRST_INDEX + net->slot, address}, 0}, 1);
    nft_remove(&fabric->filter, NFT_PACE, &(struct nft_element){{address}, 0}, 1);
    if (net->group == 0)
        return;
    nft_remove(&fabric->filter, NFT_GROUPS, &(struct nft_element){{address}, 0}, 1);
    nft_remove(&fabric->filter, NFT_TOGETHER, &(struct nft_element){{net->group, address}, 0}, 1);
}

/* Some of the wires on one side of it: removed from the lists, and put into the transaction. */
static unsigned remove_wires(struct fabric *fabric, struct net *net, int side, unsigned most)
{
    static struct nft_element elements[NETLINK_ELEMENTS_MAX];
    unsigned removed = 0, waiting = 0;
    struct between *wire = net->wires[side];
    for (struct between *next; wire != NULL && removed < most; wire = next) {
        next = wire->next[side];
        elements[waiting++] = element_of(wire);
        forget(fabric, wire);
        removed++;
        if (waiting < NETLINK_ELEMENTS_MAX)
            continue;
        nft_remove(&fabric->filter, NFT_WIRES, elements, waiting);
        waiting = 0;
    }
    net->wires[side] = wire; /* it is so already, through the list's own pointers */
    nft_remove(&fabric->filter, NFT_WIRES, elements, waiting);
    return removed;
}

/*
 * The membership goes with the last wires: should the kernel ever refuse, the slot stays taken, and no other VM
 * inherits a permission.
 */
void fabric_unwire(struct fabric *fabric, struct net *net)
{
    bool all = net->slot == 0, well = true;
    fabric_unshape(fabric, net);
    while (!all) {
        nft_begin(&fabric->filter);
        unsigned count = remove_wires(fabric, net, LEAVING, REMOVED_MAX);
        remove_wires(fabric, net, ARRIVING, REMOVED_MAX - count);
        all = net->wires[LEAVING] == NULL && net->wires[ARRIVING] == NULL;
        if (all && well)
            remove_membership(fabric, net);
        well = nft_commit(&fabric->filter) == 0 && well;
    }
}
