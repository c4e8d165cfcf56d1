/*
 * jailer.h - inside the jailer: its one structure, and what its files offer each other.
 *
 *   main      start-up, loop, end         table    one row for each request
 *   policy    limits fixed at the start   vms      VM number -> jail
 *   reaper    the dead                    timers   CPU time
 *   fabric*, nft, netlink  the private network (fabric.h); fabric_requests: bioxend's requests about it
 *   prepare   what the next VM needs    janitor  a second process that cleans up when this one was killed
 */
#ifndef BX_JAILER_JAILER_H
#define BX_JAILER_JAILER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/jail_wire.h"
#include "common/loop.h"
#include "jailer/fabric.h"
#include "sandbox/sandbox.h"

/* VMs that one jailer holds, and the heads of its hash chains. Descriptors bound it further (policy.c). */
#define VMS_MAX   16384u
#define VMS_HEADS 4096u

/* The signal of the CPU timers; blocked, and read from a descriptor. */
#define CPU_TIMER_SIGNAL SIGRTMIN

struct jailer;

struct vm {
    struct bx_source dead; /* the pidfd: readable when the VM is dead. First, so that a source is a VM */
    struct jailer *jailer;
    struct vm *next;       /* in its hash chain */
    uint32_t number;       /* bioxend's */
    struct sb_jail jail;
    bool has_timer, cpu_time_hit;
    timer_t timer;
    clockid_t clock;
    uint64_t cpu_time_ms;
    uint32_t address; /* 0: none */
};

struct policy {
    uint32_t vms_max;
    uint64_t tmp_max; /* bytes */
};

struct janitor {
    struct bx_source dead; /* its pidfd */
    pid_t pid;             /* 0: there is none */
    int socket;
    bool leaving;          /* it was told to end */
};

struct jailer {
    struct bx_loop loop;
    struct bx_source link, timers;
    struct janitor janitor;
    struct sb_host host;
    struct policy policy;
    struct vm *heads[VMS_HEADS];
    uint32_t vm_count;
    uint64_t spawned;
    bool net_ready;              /* this process is in an empty netns that no VM has */
    const struct net *inside;    /* the net that it is in instead, if it is in one */
    uint32_t net_count;
    struct fabric fabric;
    bool closing;                /* no more VMs; the end comes with the last death */
    bool broken;                 /* the janitor was killed: deaths are not told, the end of the link says it all */
    struct sb_error start_error; /* why no VM can be made on this host; told with each request */
};

/* ---- table.c ---- */
void jailer_on_link(struct bx_source *source, uint32_t events);
void jailer_reply(struct jailer *jailer, const struct jw_reply *reply);
/* Ends every VM and then the loop. */
void jailer_shut_down(struct jailer *jailer);

/* ---- fabric_requests.c ---- */
void handle_net(struct jailer *jailer, const struct jw_request *request, const int *fds);
/* The net of that number, made if there is none. */
struct net *nets_get(struct jailer *jailer, uint32_t number, struct sb_error *err);
void nets_drop(struct jailer *jailer, struct net *net);
/* This process goes there; afterwards fabric_return(back), unless it is -1. */
int nets_enter(struct jailer *jailer, const struct net *net, int *back, struct sb_error *err);

/* ---- policy.c ---- */
void policy_init(struct policy *policy);
/* Is the request, sound in itself, within what this jailer may do now? */
int policy_check(const struct jailer *jailer, const struct jw_request *request, const int *fds,
                 struct sb_error *err);

/* ---- vms.c ---- */
struct vm *vms_find(const struct jailer *jailer, uint32_t number);
struct vm *vms_new(struct jailer *jailer, uint32_t number);
/* Takes it out of the table and frees it, with all that belongs to it. */
void vms_free(struct vm *vm);
void vms_kill_all(struct jailer *jailer);

/* ---- reaper.c ---- */
int reaper_watch(struct vm *vm);

/* ---- timers.c ---- */
int timers_open(struct jailer *jailer);
int timers_start(struct vm *vm, uint64_t cpu_time_ms);
void timers_stop(struct vm *vm);

/* ---- main.c ---- */
/* Standard streams become /dev/null: a failure is told to bioxend, and no terminal of the caller's is held. */
int streams_leave(void);

/* ---- prepare.c ---- */
/* At the start: a janitor, who makes all the rest, and a network namespace. */
int prepare_begin(struct jailer *jailer, struct sb_error *err);
/* Makes what is missing for a VM; `needs_net`: an empty network namespace, too. */
int prepare(struct jailer *jailer, bool needs_net, struct sb_error *err);
/* `used_net`: the VM was born in the namespace that waited. */
void prepare_after_spawn(struct jailer *jailer, bool used_net);
/* Takes over the dead VM's mount namespace (or -1). */
void prepare_after_death(struct jailer *jailer, int mount_ns);

/* ---- janitor.c ---- */
/* `helps`: it makes an empty root and a cgroup, and finds the place for more, while the jailer does the rest. */
int janitor_start(struct jailer *jailer, bool helps, struct sb_error *err);
/* Takes over what it made, and enters the root. */
int janitor_take_over(struct jailer *jailer, struct sb_error *err);
int janitor_watch(struct jailer *jailer);
void janitor_leave_root(struct jailer *jailer);
/* Lets it close a mount namespace, and wait until the kernel has taken that apart. */
void janitor_bury(struct jailer *jailer, int mount_ns);
/* Tells it to end; and waits for that, when nothing else is left to do. */
void janitor_stop(struct jailer *jailer);
void janitor_reap(struct jailer *jailer);

#endif
