/*
 * topology.h - what a topology file asks for, typed and checked: the desired set of VMs, wires and groups.
 *
 * Everything in it lives in one arena, names are NUL-terminated, and every reference is an index that was checked. It
 * holds what the file says, once for each entry: replicas are expanded only in `instances` and `links`. Nothing here
 * starts or opens anything; scripts are the client's to read.
 */
#ifndef BX_DAEMON_TOPOLOGY_H
#define BX_DAEMON_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/vm_spec.h"
#include "diag.h"
#include "lookup.h"

/* VMs of one topology, replicas counted: what the design is made for. */
#define TOPOLOGY_INSTANCES_MAX 10000

/* Permitted connections between two instances; each is an entry of the firewall. A mesh of 300 has 90,000. */
#define TOPOLOGY_LINKS_MAX 100000

/* Memory of one topology, with everything that variables and defaults make of a file of 1 MiB. */
#define TOPOLOGY_MEMORY_MAX (256u * 1024u * 1024u)

#define TOPOLOGY_NONE UINT32_MAX

struct topology_text {
    const char *text;
    struct mark mark;
};

/* Lua that has to compile. The same file is here once. */
enum topology_program_kind { TOPOLOGY_FILE, TOPOLOGY_CODE, TOPOLOGY_CHECK };
struct topology_program {
    enum topology_program_kind kind;
    const char *text;    /* the path as the file has it, or the code */
    struct mark mark;    /* of the value */
    uint32_t first_line; /* of the code's first line in the file; 0: the code's lines are not the file's */
    uint32_t vm;         /* the first VM that has it */
};

enum topology_condition { TOPOLOGY_STARTED, TOPOLOGY_READY, TOPOLOGY_HEALTHY, TOPOLOGY_COMPLETED };
struct topology_depend {
    uint32_t vm;
    uint32_t replica; /* 0: all of them */
    enum topology_condition condition;
    struct mark mark;
};

struct topology_health {
    uint32_t program; /* TOPOLOGY_NONE: there is no check */
    uint64_t every_ms, timeout_ms, start_period_ms;
    uint32_t retries;
};

struct topology_port {
    uint16_t port;
    bool udp;
    struct mark mark;
};

struct topology_publish {
    const char *host;
    uint16_t host_port, vm_port;
    struct mark mark;
};

struct topology_variable {
    const char *name, *value;
};

struct topology_vm {
    const char *name; /* with replicas, of name-1, name-2, ... */
    struct mark mark;
    uint32_t replicas;   /* 0: none were asked for, and the name is the VM's own */
    uint32_t first;      /* its first instance */
    struct vm_spec spec; /* its name is the entry's; mounts: the targets of mount_hosts */
    const char *mount_hosts[BX_MOUNTS_MAX];
    uint32_t program; /* TOPOLOGY_NONE only in a topology with errors */
    struct topology_text *args;
    uint32_t arg_count;
    struct topology_variable *env;
    uint32_t env_count;
    bool networked;
    const char *report; /* NULL when none was asked */
    struct vm_restart restart;
    struct topology_health health;
    uint64_t watchdog_ms;        /* 0 is none */
    struct topology_port *ports; /* of server, then the one of p2p */
    uint32_t port_count;
    uint32_t server_count; /* how many of them are server's */
    struct topology_publish *publish;
    uint32_t publish_count;
    struct topology_depend *depends;
    uint32_t depend_count;
    uint32_t group; /* TOPOLOGY_NONE: in none */
};

struct topology_instance {
    const char *name;
    uint32_t vm;
    uint32_t replica; /* from 1; 0 when there are no replicas */
};

/* A VM, or one of its replicas. */
struct topology_peer {
    uint32_t vm;
    uint32_t replica; /* 0: all of them */
};

enum topology_role { TOPOLOGY_CLIENT, TOPOLOGY_P2P, TOPOLOGY_WIRE };
struct topology_wire {
    struct topology_peer from, to;
    uint16_t port;
    bool udp;
    enum topology_role role; /* which key it comes from */
    uint64_t rate;           /* bits a second, 0 is no limit */
    uint64_t delay_us, jitter_us;
    uint32_t loss_ppm;
    struct mark mark;
};

/* One permitted connection between two instances: `from` may connect to `to`. */
struct topology_link {
    uint32_t from, to; /* instances */
    uint16_t port;
    bool udp;
    uint32_t wire; /* how it behaves */
};

enum topology_strategy { TOPOLOGY_ONE_FOR_ONE, TOPOLOGY_ONE_FOR_ALL, TOPOLOGY_REST_FOR_ONE };
struct topology_group {
    const char *name;
    struct mark mark;
    uint32_t *vms; /* in their order */
    uint32_t vm_count;
    uint32_t *groups;
    uint32_t group_count;
    uint32_t parent; /* TOPOLOGY_NONE: in none */
    enum topology_strategy strategy;
    uint32_t max;
    uint64_t within_ms;
    bool stop; /* escalate: stop, instead of to the parent */
};

struct topology {
    struct arena arena;
    struct diags diags;
    const char *name;
    struct topology_vm *vms;
    uint32_t vm_count;
    struct topology_instance *instances;
    uint32_t instance_count;
    struct topology_wire *wires;
    uint32_t wire_count;
    struct topology_link *links; /* sorted by from, to, port; none twice */
    uint32_t link_count;
    struct topology_group *groups;
    uint32_t group_count;
    struct topology_program *programs;
    uint32_t program_count;
    uint32_t *order;     /* VMs so that each comes behind those that it depends on */
    struct lookup names; /* of VMs and instances: see topology_find */
};

struct topology_source {
    const char *text;
    size_t length;
    const char *name; /* for a topology that does not say its own */
    const struct topology_variable *variables;
    uint32_t variable_count;
};

/*
 * Reads a file. Returns 0 with *out, whose diags tell what is wrong with it: it may be used when diags.errors is 0.
 * Or -ENOMEM, when it is too large with all that its variables and defaults make of it. To be freed by topology_free.
 */
int topology_load(const struct topology_source *source, struct topology **out, struct bx_error *err);
void topology_free(struct topology *topology); /* takes NULL too */

/* The VM, or the one replica, of that name. */
bool topology_find(const struct topology *topology, const char *name, struct topology_peer *out);

/* How many instances a peer is, from *first on. */
uint32_t topology_instances_of(const struct topology *topology, struct topology_peer peer, uint32_t *first);

/* "caller", or "caller-2" for one replica; in the arena. */
const char *topology_peer_name(struct topology *topology, struct topology_peer peer);

#endif
