/*
 * graph_layout.c - layers from left to right: whoever connects stands left of whom it connects to. Then each layer is
 * sorted by where its neighbours are, a few times over, which takes most crossings out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "graph.h"

#define CHARACTER_WIDTH 7.4
#define NODE_PADDING    24.0
#define NODE_HEIGHT     38.0
#define DETAILS_HEIGHT  16.0
#define GAP_Y           34.0
#define GAP_X           90.0
#define MARGIN          30.0
#define TITLE_HEIGHT    34.0
#define LABEL_WIDTH     6.2
#define SWEEPS          4

static size_t characters(const char *text)
{
    size_t count = 0, left = text != NULL ? strlen(text) : 0;
    for (size_t step; left > 0; left -= step, text += step, count++) {
        step = text_utf8_length(text, left);
        step += step == 0;
    }
    return count;
}

/* ---- layers ---- */

struct search {
    struct graph *graph;
    size_t *start;         /* of each node: its first edge in `edges`; one more at the end */
    size_t *edges;         /* indexes of edges, by their `from` */
    size_t *path, *next;   /* the way, and where to go on */
    unsigned char *colour; /* 0 unseen, 1 on the way, 2 done */
};

static void search_fini(struct search *search)
{
    free(search->start);
    free(search->edges);
    free(search->path);
    free(search->next);
    free(search->colour);
}

static int search_init(struct search *search, struct graph *graph)
{
    size_t nodes = graph->node_count, edges = graph->edge_count;
    *search = (struct search){
        .graph = graph,
        .start = calloc(nodes + 2, sizeof *search->start),
        .edges = calloc(edges + 1, sizeof *search->edges),
        .path = calloc(nodes + 1, sizeof *search->path),
        .next = calloc(nodes + 1, sizeof *search->next),
        .colour = calloc(nodes + 1, 1),
    };
    if (!search->start || !search->edges || !search->path || !search->next || !search->colour)
        return -ENOMEM;
    for (size_t i = 0; i < edges; i++)
        search->start[graph->edges[i].from + 2]++;
    for (size_t i = 2; i < nodes + 2; i++)
        search->start[i] += search->start[i - 1];
    for (size_t i = 0; i < edges; i++)
        search->edges[search->start[graph->edges[i].from + 1]++] = i;
    return 0;
}

/*
 * Depth first, without recursion: an edge back to the way is one against the layers. `order` gets who is done, in
 * turn.
 */
static size_t visit(struct search *search, size_t root, size_t *order, size_t done)
{
    size_t depth = 0;
    search->path[depth] = root;
    search->next[depth++] = search->start[root];
    search->colour[root] = 1;
    while (depth > 0) {
        size_t node = search->path[depth - 1];
        if (search->next[depth - 1] == search->start[node + 1]) {
            search->colour[node] = 2;
            order[done++] = node;
            depth--;
            continue;
        }
        struct graph_edge *edge = &search->graph->edges[search->edges[search->next[depth - 1]++]];
        if (search->colour[edge->to] == 1) {
            edge->back = true;
        } else if (search->colour[edge->to] == 0) {
            search->colour[edge->to] = 1;
            search->path[depth] = edge->to;
            search->next[depth++] = search->start[edge->to];
        }
    }
    return done;
}

/* The longest way from a node that nobody leads to. */
static int assign_layers(struct graph *graph)
{
    struct search search;
    size_t *order = calloc(graph->node_count + 1, sizeof *order), done = 0;
    int rc = search_init(&search, graph);
    if (rc == 0 && order != NULL) {
        for (size_t i = 0; i < graph->node_count; i++)
            if (search.colour[i] == 0)
                done = visit(&search, i, order, done);
        while (done-- > 0)
            for (size_t i = search.start[order[done]]; i < search.start[order[done] + 1]; i++) {
                const struct graph_edge *edge = &graph->edges[search.edges[i]];
                unsigned layer = graph->nodes[edge->from].layer + 1;
                if (!edge->back && graph->nodes[edge->to].layer < layer)
                    graph->nodes[edge->to].layer = layer;
            }
    }
    search_fini(&search);
    free(order);
    return order != NULL ? rc : -ENOMEM;
}

/* ---- places ---- */

static int compare(const void *left, const void *right)
{
    const struct graph_node *a = *(struct graph_node *const *)left, *b = *(struct graph_node *const *)right;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a < b ? -1 : 1;
}

/* Room between two layers for the widest label between them. */
static double gap_behind(const struct graph *graph, unsigned layer)
{
    double gap = GAP_X;
    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        unsigned a = graph->nodes[edge->from].layer, b = graph->nodes[edge->to].layer;
        double width = LABEL_WIDTH * (double)characters(edge->label) + 40;
        if ((a == layer && b == layer + 1) || (b == layer && a == layer + 1))
            gap = width > gap ? width : gap;
    }
    return gap;
}

/* Puts the nodes of each layer below each other, in the order of the list. */
static void place(struct graph *graph, struct graph_node **list)
{
    double x = MARGIN, y = 0, widest = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        struct graph_node *node = list[i];
        if (i > 0 && node->layer != list[i - 1]->layer) {
            x += widest + gap_behind(graph, list[i - 1]->layer);
            y = widest = 0;
        }
        if (y == 0)
            y = MARGIN + TITLE_HEIGHT;
        node->x = x;
        node->y = y;
        y += node->height + GAP_Y;
        widest = node->width > widest ? node->width : widest;
    }
}

/* A node wants to be where its neighbours are on the average. */
static int weigh(struct graph *graph)
{
    size_t *degree = calloc(graph->node_count + 1, sizeof *degree);
    double *sum = calloc(graph->node_count + 1, sizeof *sum);
    for (size_t i = 0; degree != NULL && sum != NULL && i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        sum[edge->from] += graph->nodes[edge->to].y;
        sum[edge->to] += graph->nodes[edge->from].y;
        degree[edge->from]++;
        degree[edge->to]++;
    }
    for (size_t i = 0; degree != NULL && sum != NULL && i < graph->node_count; i++)
        graph->nodes[i].weight = degree[i] > 0 ? sum[i] / (double)degree[i] : graph->nodes[i].y;
    int rc = degree != NULL && sum != NULL ? 0 : -ENOMEM;
    free(degree);
    free(sum);
    return rc;
}

int graph_layout(struct graph *graph)
{
    struct graph_node **list = calloc(graph->node_count + 1, sizeof *list);
    int rc = list != NULL ? assign_layers(graph) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < graph->node_count; i++) {
        struct graph_node *node = &graph->nodes[i];
        size_t title = characters(node->title), details = characters(node->details), group = characters(node->group);
        size_t longest = title > details ? title : details;
        node->width = NODE_PADDING + CHARACTER_WIDTH * (double)(longest > group ? longest : group);
        node->height =
            NODE_HEIGHT + (node->details != NULL ? DETAILS_HEIGHT : 0) + (node->group != NULL ? DETAILS_HEIGHT : 0);
        node->weight = (double)i;
        list[i] = node;
    }
    for (int sweep = 0; rc == 0 && sweep < SWEEPS; sweep++) {
        qsort(list, graph->node_count, sizeof *list, compare);
        place(graph, list);
        rc = weigh(graph);
    }
    free(list);
    return rc;
}
