/*
 * fabric.h - the private network: one router, a network namespace that nothing else is in, and from it one cable to the
 * network namespace of each VM that is attached. Layer 3 only; IPv4 only.
 *
 *   net      a network namespace that a VM lives in, by bioxend's number. It outlives the VM's process
 *   attach   gives it an interface and an address
 *   wire     one permission: source, destination, protocol, port
 *   group    a default network: who is in the same one may talk to each other
 *   shape    how the way from one net to another behaves
 *
 * Nothing of it has a name anywhere: it is gone with the last process and descriptor that holds it. The host's own
 * network is neither touched nor connected.
 */
#ifndef BX_JAILER_FABRIC_H
#define BX_JAILER_FABRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/jail_wire.h"
#include "jailer/netlink.h"
#include "sandbox/sandbox.h"

/* The router's interfaces are numbered by slot; so are the addresses. Slots are used up before they are used again. */
#define FABRIC_ADDRESS     0x64400000u /* 100.64.0.0: shared address space (RFC 6598), nobody's local network */
#define FABRIC_BITS        16u
#define FABRIC_SLOTS       32000u /* below 0x7fff: see fabric_shape.c */
#define FABRIC_FIRST_INDEX 16u
#define FABRIC_HOP         0xa9fe0101u /* 169.254.1.1: where a VM sends everything. Nobody has that address */
/* 192.0.0.8: refusals by ICMP come from there, as the router has no address (RFC 7600). */
#define FABRIC_REFUSER     0xc0000008u
#define FABRIC_NETS_HEADS  4096u
#define FABRIC_WIRES_MAX   262144u
#define FABRIC_SHAPES_MAX  65536u

struct net;

/* What is between two nets: it is in a list of each. */
enum { LEAVING, ARRIVING };

struct between {
    struct net *from, *to;
    struct between *next[2], **at[2]; /* LEAVING: among those of `from`; ARRIVING: among those of `to` */
    uint16_t port;                    /* of a wire; a shape has none */
    uint8_t protocol;
};

struct net {
    struct net *next;      /* in its hash chain */
    uint32_t number;       /* bioxend's */
    int ns;                /* the namespace */
    uint32_t slot;         /* 0: not attached */
    uint32_t group;        /* 0: none */
    uint32_t low_port;     /* from which on its VM may bind, when it is attached; 0: from 1024 */
    bool classes;          /* its interface has classes of traffic */
    struct between *wires[2], *shapes[2];
};

struct fabric {
    int ns; /* the router's; -1: there is none yet */
    struct netlink route, filter;
    bool ipv6;    /* this kernel has it, so that it must be turned off */
    bool shaping; /* its rules are installed */
    uint32_t last_slot, wires, shapes;
    struct net *heads[FABRIC_NETS_HEADS];
};

void fabric_init(struct fabric *fabric);
void fabric_fini(struct fabric *fabric);

/* ---- fabric.c: nets ---- */
struct net *fabric_find(const struct fabric *fabric, uint32_t number);
/* A net of the network namespace in which this process is. */
struct net *fabric_new(struct fabric *fabric, const struct sb_host *host, uint32_t number, struct sb_error *err);
/* Cuts it off and forgets it. The namespace vanishes with its last process. */
void fabric_drop(struct fabric *fabric, struct net *net);
uint32_t fabric_address(const struct net *net);

/* ---- fabric_attach.c ---- */
/* Makes the router, when there is none, and the net's cable and address; puts it into a group (0: none). */
int fabric_attach(struct fabric *fabric, const struct sb_host *host, struct net *net, uint32_t group,
                  struct sb_error *err);
/* This process enters the net's namespace; `back` is where it was, for fabric_return. */
int fabric_visit(const struct sb_host *host, const struct net *net, int *back, struct sb_error *err);
int fabric_return(int back, struct sb_error *err);

/* ---- fabric_wires.c ---- */
/* All of them or none. */
int fabric_wire(struct fabric *fabric, const struct jw_wires *wires, struct sb_error *err);
/* Takes away every permission of a net, and its membership. */
void fabric_unwire(struct fabric *fabric, struct net *net);
/* `leaving` and `arriving` are the heads of its lists. */
void between_insert(struct between *between, struct between **leaving, struct between **arriving);
void between_remove(struct between *between);
int fabric_fail(struct sb_error *err, int code, const char *what);

/* ---- fabric_shape.c ---- */
/* Changes how one way behaves; a shape without any effect takes the old one away. */
int fabric_shape(struct fabric *fabric, const struct jw_shape *shape, struct sb_error *err);
/* Forgets every shape that has to do with a net. */
void fabric_unshape(struct fabric *fabric, struct net *net);

#endif
