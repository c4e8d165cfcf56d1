/*
 * topology_parts.h - between the files that make a topology of a tree: vms first, then their names, then what refers
 * to names. Each leaves unsound values alone: their faults are told.
 */
#ifndef BX_DAEMON_TOPOLOGY_PARTS_H
#define BX_DAEMON_TOPOLOGY_PARTS_H

#include "schema.h"
#include "topology.h"

struct builder {
    struct topology *topology;
    const struct tree_node *root;
    const struct tree_node *defaults;  /* NULL when there are none */
    const struct tree_node **vm_nodes; /* of each VM: its map */
};

/* The sound value of a key, or NULL. */
const struct tree_node *builder_get(const struct tree_node *map, const char *key);

/* The number of a key: its own, or the table's default. Words are their index; none is 0. */
uint64_t builder_number(const struct tree_node *map, enum schema_map in, const char *key);

/* The items of a value that is a scalar or a list: only the sound ones are of use. */
uint32_t builder_count(const struct tree_node *value);
const struct tree_node *builder_item(const struct tree_node *value, uint32_t index);

/* Finds the VM that a scalar names, or tells that there is none. `what` begins the message. */
bool builder_peer(struct builder *builder, const struct tree_node *node, const char *name, const char *what,
                  struct topology_peer *out);

void build_vms(struct builder *builder);     /* topology_vm.c: everything that refers to no other VM */
void build_names(struct builder *builder);   /* topology_names.c: instances, names */
void build_depends(struct builder *builder); /* topology_order.c */
void build_wires(struct builder *builder);   /* topology_wires.c */
void build_groups(struct builder *builder);  /* topology_groups.c */

#endif
