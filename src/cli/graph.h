/*
 * graph.h - a topology as a picture: nodes are VMs (replicas are one node), edges are wires and dependencies. The
 * model is made of what the check found; each format has a writer.
 */
#ifndef BX_CLI_GRAPH_H
#define BX_CLI_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "client/bioxen.h"

struct graph_node {
    char *title;   /* "caller-1..3" */
    char *details; /* "serves 8080": NULL when there is nothing to say */
    char *name;    /* of the VM */
    char *group;   /* NULL when it is in none */
    /* for the layout */
    unsigned layer;
    size_t order;
    double x, y, width, height, weight;
};

enum graph_edge_kind { GRAPH_WIRE, GRAPH_DEPENDS };

struct graph_edge {
    size_t from, to; /* nodes */
    enum graph_edge_kind kind;
    bool both; /* there is one in the other direction too */
    bool back; /* layout: against the layers */
    char *label;
    size_t order;                 /* in the file */
    size_t first_bend, bend_count; /* layout: where it passes the layers between its ends, from left to right */
};

struct graph {
    char *name;
    struct graph_node *nodes;
    size_t node_count;
    struct graph_edge *edges;
    size_t edge_count, edge_room;
    struct graph_node *bends; /* places of edges among nodes: only the layout and the drawing know them */
    size_t bend_count;
};

/* Reads a checked topology. Returns 0 or -ENOMEM; the graph is to be finished either way. */
int graph_init(struct graph *graph, const bioxen_node *topology);
void graph_fini(struct graph *graph);

void graph_write_dot(const struct graph *graph, FILE *out);
void graph_write_mermaid(const struct graph *graph, FILE *out);

/* Places every node (graph_layout.c), and draws (graph_svg.c). Returns 0 or -ENOMEM. */
int graph_layout(struct graph *graph);
int graph_write_svg(struct graph *graph, FILE *out);

#endif
