/* fabric.c - the nets by bioxend's number: a hash table with a fixed number of chains. */
#include "jailer/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fabric_init(struct fabric *fabric)
{
    memset(fabric, 0, sizeof *fabric);
    fabric->ns = -1;
}

int fabric_fail(struct sb_error *err, int code, const char *what)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s: %s", what, strerror(code));
    return -code;
}

/* bioxend counts upwards, so that the low bits spread by themselves. */
static struct net **head_of(struct fabric *fabric, uint32_t number)
{
    return &fabric->heads[number % FABRIC_NETS_HEADS];
}

struct net *fabric_find(const struct fabric *fabric, uint32_t number)
{
    struct net *net = fabric->heads[number % FABRIC_NETS_HEADS];
    while (net != NULL && net->number != number)
        net = net->next;
    return net;
}

uint32_t fabric_address(const struct net *net)
{
    return FABRIC_ADDRESS + net->slot;
}

struct net *fabric_new(struct fabric *fabric, const struct sb_host *host, uint32_t number, struct sb_error *err)
{
    int ns = sb_host_hold_net(host, err);
    if (ns < 0)
        return NULL;
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL) {
        close(ns);
        fabric_fail(err, ENOMEM, "the jailer cannot keep one network more");
        return NULL;
    }
    struct net **head = head_of(fabric, number);
    net->number = number;
    net->ns = ns;
    net->next = *head;
    *head = net;
    return net;
}

void fabric_drop(struct fabric *fabric, struct net *net)
{
    fabric_unwire(fabric, net);
    struct net **at = head_of(fabric, net->number);
    while (*at != net)
        at = &(*at)->next;
    *at = net->next;
    close(net->ns); /* the kernel takes the namespace apart behind our back, the cable with it */
    free(net);
}

/* Nobody is left to be told, and the kernel does the rest. */
void fabric_fini(struct fabric *fabric)
{
    netlink_close(&fabric->route);
    netlink_close(&fabric->filter);
    if (fabric->ns >= 0)
        close(fabric->ns);
    fabric->ns = -1;
}
