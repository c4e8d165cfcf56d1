/* graph.c - nodes and edges of a checked topology. */
#include "graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

static char *copy_text(const bioxen_node *node)
{
    struct bioxen_string text = bioxen_node_text(node);
    return text.bytes != NULL ? strndup(text.bytes, text.length) : NULL;
}

static unsigned long long number_of(const bioxen_node *map, const char *key)
{
    return bioxen_node_number(bioxen_node_find(map, key));
}

static bool text_is(const bioxen_node *map, const char *key, const char *word)
{
    struct bioxen_string text = bioxen_node_text(bioxen_node_find(map, key));
    return text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

/* ---- nodes ---- */

static void put_ports(FILE *out, const bioxen_node *vm)
{
    const bioxen_node *ports = bioxen_node_find(vm, "ports");
    for (size_t i = 0; i < bioxen_node_count(ports); i++) {
        const bioxen_node *port = bioxen_node_item(ports, i);
        const char *verb = text_is(port, "role", "p2p") ? "peer on" : "serves";
        fprintf(out, "%s%s %llu%s", i > 0 ? ", " : "", verb, number_of(port, "port"),
                text_is(port, "proto", "udp") ? "/udp" : "");
    }
}

static void put_published(FILE *out, const bioxen_node *vm)
{
    const bioxen_node *list = bioxen_node_find(vm, "publish");
    for (size_t i = 0; i < bioxen_node_count(list); i++) {
        const bioxen_node *item = bioxen_node_item(list, i);
        struct bioxen_string host = bioxen_node_text(bioxen_node_find(item, "host"));
        fprintf(out, "%s%.*s:%llu leads to %llu", ftell(out) > 0 ? ", " : "", (int)host.length,
                host.bytes != NULL ? host.bytes : "", number_of(item, "host_port"), number_of(item, "port"));
    }
}

static char *make_details(const bioxen_node *vm)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    put_ports(out, vm);
    fflush(out);
    put_published(out, vm);
    if (fclose(out) == 0 && length > 0)
        return text;
    free(text);
    return NULL;
}

static int read_node(struct graph_node *node, const bioxen_node *vm)
{
    unsigned long long replicas = number_of(vm, "replicas");
    node->name = copy_text(bioxen_node_find(vm, "name"));
    node->group = copy_text(bioxen_node_find(vm, "group"));
    node->details = make_details(vm);
    if (node->name == NULL)
        return -ENOMEM;
    int rc = replicas > 1    ? asprintf(&node->title, "%s-1..%llu", node->name, replicas)
             : replicas == 1 ? asprintf(&node->title, "%s-1", node->name)
                             : asprintf(&node->title, "%s", node->name);
    return rc >= 0 ? 0 : -ENOMEM;
}

/* ---- edges ---- */

/* Nodes by name, for searching. */
struct names {
    const struct graph *graph;
    struct graph_node **sorted;
};

static int compare_names(const void *left, const void *right)
{
    return strcmp((*(struct graph_node *const *)left)->name, (*(struct graph_node *const *)right)->name);
}

static int compare_text(struct bioxen_string text, const char *name)
{
    size_t length = strlen(name);
    int order = memcmp(text.bytes, name, text.length < length ? text.length : length);
    return order != 0 ? order : (text.length > length) - (text.length < length);
}

static bool find_exactly(const struct names *names, struct bioxen_string name, size_t *out)
{
    size_t low = 0, high = names->graph->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_text(name, names->sorted[middle]->name);
        if (order == 0) {
            *out = (size_t)(names->sorted[middle] - names->graph->nodes);
            return true;
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return false;
}

/* The VM of a name, or of "name-7" among its replicas. */
static bool find_node(const struct names *names, struct bioxen_string name, size_t *out)
{
    if (name.bytes == NULL)
        return false;
    if (find_exactly(names, name, out))
        return true;
    while (name.length > 0 && name.bytes[name.length - 1] != '-')
        name.length--;
    name.length -= name.length > 0;
    return find_exactly(names, name, out);
}

static int add_edge(struct graph *graph, size_t from, size_t to, enum graph_edge_kind kind, const char *label)
{
    if (graph->edge_count == graph->edge_room) {
        size_t room = 2 * graph->edge_room + 16;
        struct graph_edge *larger = realloc(graph->edges, room * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        graph->edges = larger;
        graph->edge_room = room;
    }
    char *copy = strdup(label);
    if (copy == NULL)
        return -ENOMEM;
    graph->edges[graph->edge_count] =
        (struct graph_edge){.from = from, .to = to, .kind = kind, .label = copy, .order = graph->edge_count};
    graph->edge_count++;
    return 0;
}

/* ---- several wires between two VMs are one edge, and two directions are one edge with two heads ---- */

/* More text than this on one edge covers the picture. */
#define LABEL_MAX 100

static int extend_label(struct graph_edge *edge, const char *label)
{
    char *longer = NULL;
    size_t length = strlen(edge->label), added = strlen(label);
    const char *found = strstr(edge->label, label);
    bool is_there =
        found != NULL && (found == edge->label || found[-1] == ' ') && (found[added] == '\0' || found[added] == ',');
    if (is_there || (length > 3 && strcmp(edge->label + length - 3, "...") == 0))
        return 0;
    if (asprintf(&longer, "%s, %s", edge->label, length + added > LABEL_MAX ? "..." : label) < 0)
        return -ENOMEM;
    free(edge->label);
    edge->label = longer;
    return 0;
}

static int compare_numbers(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

/* Edges that are one come together: those of wires whatever their direction is. */
static int compare_ends(const void *left, const void *right)
{
    const struct graph_edge *a = left, *b = right;
    bool turn_a = a->kind == GRAPH_WIRE && a->from > a->to, turn_b = b->kind == GRAPH_WIRE && b->from > b->to;
    int order = compare_numbers(a->kind, b->kind);
    if (order == 0)
        order = compare_numbers(turn_a ? a->to : a->from, turn_b ? b->to : b->from);
    if (order == 0)
        order = compare_numbers(turn_a ? a->from : a->to, turn_b ? b->from : b->to);
    return order;
}

static int compare_all(const void *left, const void *right)
{
    int order = compare_ends(left, right);
    return order != 0
               ? order
               : compare_numbers(((const struct graph_edge *)left)->order, ((const struct graph_edge *)right)->order);
}

static int compare_order(const void *left, const void *right)
{
    return compare_numbers(((const struct graph_edge *)left)->order, ((const struct graph_edge *)right)->order);
}

static int merge_edges(struct graph *graph)
{
    int rc = 0;
    size_t kept = 0;
    if (graph->edge_count > 0)
        qsort(graph->edges, graph->edge_count, sizeof *graph->edges, compare_all);
    for (size_t i = 0; i < graph->edge_count; i++) {
        struct graph_edge edge = graph->edges[i], *last = kept > 0 ? &graph->edges[kept - 1] : NULL;
        if (last == NULL || compare_ends(last, &edge) != 0) {
            graph->edges[kept++] = edge;
            continue;
        }
        last->both = last->both || last->from != edge.from;
        if (rc == 0)
            rc = extend_label(last, edge.label);
        free(edge.label);
    }
    graph->edge_count = kept;
    if (kept > 0)
        qsort(graph->edges, kept, sizeof *graph->edges, compare_order);
    return rc;
}

/* ---- reading ---- */

/* "8080, 20ms, 1% lost, 10mbit" */
static void describe_wire(const bioxen_node *wire, char *out, size_t size)
{
    char delay[UNITS_TEXT_MAX], jitter[UNITS_TEXT_MAX], loss[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
    unsigned long long delay_us = number_of(wire, "delay_us"), jitter_us = number_of(wire, "jitter_us");
    unsigned long long loss_ppm = number_of(wire, "loss_ppm"), bits = number_of(wire, "rate");
    units_format_delay(delay_us, delay);
    units_format_delay(jitter_us, jitter);
    units_format_percent(loss_ppm, loss);
    units_format_rate(bits, rate);
    snprintf(out, size, "%llu%s%s%s%s%s%s%s%s%s", number_of(wire, "port"), text_is(wire, "proto", "udp") ? "/udp" : "",
             delay_us > 0 ? " " : "", delay_us > 0 ? delay : "", jitter_us > 0 ? "\u00b1" : "",
             jitter_us > 0 ? jitter : "", loss_ppm > 0 ? " loss " : "", loss_ppm > 0 ? loss : "", bits > 0 ? " " : "",
             bits > 0 ? rate : "");
}

static int read_wire(struct graph *graph, const struct names *names, const bioxen_node *wire)
{
    char label[160];
    size_t from, to;
    if (!find_node(names, bioxen_node_text(bioxen_node_find(wire, "from")), &from) ||
        !find_node(names, bioxen_node_text(bioxen_node_find(wire, "to")), &to))
        return 0;
    describe_wire(wire, label, sizeof label);
    return add_edge(graph, from, to, GRAPH_WIRE, label);
}

static int read_depends(struct graph *graph, const struct names *names, size_t from, const bioxen_node *vm)
{
    const bioxen_node *list = bioxen_node_find(vm, "depends_on");
    int rc = 0;
    for (size_t i = 0; i < bioxen_node_count(list) && rc == 0; i++) {
        const bioxen_node *item = bioxen_node_item(list, i);
        struct bioxen_string condition = bioxen_node_text(bioxen_node_find(item, "condition"));
        char label[64];
        size_t to;
        if (!find_node(names, bioxen_node_text(bioxen_node_find(item, "vm")), &to))
            continue;
        snprintf(label, sizeof label, "after %.*s", (int)condition.length,
                 condition.bytes != NULL ? condition.bytes : "");
        rc = add_edge(graph, from, to, GRAPH_DEPENDS, label);
    }
    return rc;
}

static int read_edges(struct graph *graph, const struct names *names, const bioxen_node *topology)
{
    const bioxen_node *vms = bioxen_node_find(topology, "vms"), *wires = bioxen_node_find(topology, "wires");
    int rc = 0;
    for (size_t i = 0; i < bioxen_node_count(wires) && rc == 0; i++)
        rc = read_wire(graph, names, bioxen_node_item(wires, i));
    for (size_t i = 0; i < bioxen_node_count(vms) && rc == 0; i++)
        rc = read_depends(graph, names, i, bioxen_node_item(vms, i));
    return rc == 0 ? merge_edges(graph) : rc;
}

int graph_init(struct graph *graph, const bioxen_node *topology)
{
    const bioxen_node *vms = bioxen_node_find(topology, "vms");
    size_t count = bioxen_node_count(vms);
    *graph = (struct graph){.name = copy_text(bioxen_node_find(topology, "name")),
                            .nodes = calloc(count + 1, sizeof *graph->nodes)};
    struct names names = {graph, calloc(count + 1, sizeof *names.sorted)};
    int rc = graph->nodes != NULL && graph->name != NULL && names.sorted != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        graph->node_count++;
        names.sorted[i] = &graph->nodes[i];
        rc = read_node(&graph->nodes[i], bioxen_node_item(vms, i));
    }
    if (rc == 0) {
        qsort(names.sorted, count, sizeof *names.sorted, compare_names);
        rc = read_edges(graph, &names, topology);
    }
    free(names.sorted);
    return rc;
}

void graph_fini(struct graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        free(graph->nodes[i].title);
        free(graph->nodes[i].details);
        free(graph->nodes[i].name);
        free(graph->nodes[i].group);
    }
    for (size_t i = 0; i < graph->edge_count; i++)
        free(graph->edges[i].label);
    free(graph->nodes);
    free(graph->bends);
    free(graph->edges);
    free(graph->name);
}
