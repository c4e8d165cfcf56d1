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

/* ---- bends ---- */

/* Beyond so many an edge is drawn straight through: nobody looks at such a picture for its lines. */
#define BENDS_MAX   20000u
#define BEND_HEIGHT 10.0

static unsigned layers_between(const struct graph *graph, const struct graph_edge *edge, unsigned *first)
{
    unsigned a = graph->nodes[edge->from].layer, b = graph->nodes[edge->to].layer;
    unsigned low = a < b ? a : b, high = a < b ? b : a;
    *first = low + 1;
    return high > low + 1 ? high - low - 1 : 0;
}

/* An edge that passes a layer has a place in it, like a node, so that it leads through none. */
static int make_bends(struct graph *graph)
{
    unsigned first;
    graph->bend_count = 0;
    for (size_t i = 0; i < graph->edge_count; i++)
        graph->bend_count += layers_between(graph, &graph->edges[i], &first);
    if (graph->bend_count > BENDS_MAX)
        graph->bend_count = 0;
    graph->bends = calloc(graph->bend_count + 1, sizeof *graph->bends);
    if (graph->bends == NULL || graph->bend_count == 0)
        return graph->bends == NULL ? -ENOMEM : 0;
    size_t used = 0;
    for (size_t i = 0; i < graph->edge_count; i++) {
        struct graph_edge *edge = &graph->edges[i];
        edge->first_bend = used;
        edge->bend_count = layers_between(graph, edge, &first);
        for (size_t j = 0; j < edge->bend_count; j++)
            graph->bends[used++] = (struct graph_node){.layer = first + (unsigned)j, .height = BEND_HEIGHT};
    }
    return 0;
}

/* ---- places ---- */

/* Everything that has a place: nodes, then bends; and which of them are neighbours. */
struct places {
    struct graph *graph;
    struct graph_node **list;
    size_t count;
    double *gaps; /* behind each layer */
    unsigned layers;
    double *sums; /* of each place, by its order: where its neighbours are */
    size_t *degrees;
};

static void places_fini(struct places *places)
{
    free(places->list);
    free(places->gaps);
    free(places->sums);
    free(places->degrees);
}

static int compare(const void *left, const void *right)
{
    const struct graph_node *a = *(struct graph_node *const *)left, *b = *(struct graph_node *const *)right;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static void size_node(struct graph_node *node)
{
    size_t title = characters(node->title), details = characters(node->details), group = characters(node->group);
    size_t longest = title > details ? title : details;
    node->width = NODE_PADDING + CHARACTER_WIDTH * (double)(longest > group ? longest : group);
    node->height =
        NODE_HEIGHT + (node->details != NULL ? DETAILS_HEIGHT : 0) + (node->group != NULL ? DETAILS_HEIGHT : 0);
}

/* Room between two layers for the widest label between them. */
static void measure_gaps(struct places *places)
{
    struct graph *graph = places->graph;
    for (unsigned i = 0; i < places->layers; i++)
        places->gaps[i] = GAP_X;
    for (size_t i = 0; i < graph->edge_count; i++) {
        unsigned first, between = layers_between(graph, &graph->edges[i], &first);
        double width = LABEL_WIDTH * (double)characters(graph->edges[i].label) + 40;
        unsigned at = first - 1 + between / 2; /* where its label will be */
        if (graph->nodes[graph->edges[i].from].layer != graph->nodes[graph->edges[i].to].layer &&
            width > places->gaps[at])
            places->gaps[at] = width;
    }
}

static int places_init(struct places *places, struct graph *graph)
{
    *places = (struct places){.graph = graph, .count = graph->node_count + graph->bend_count};
    for (size_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].layer >= places->layers)
            places->layers = graph->nodes[i].layer + 1;
    places->list = calloc(places->count + 1, sizeof *places->list);
    places->gaps = calloc(places->layers + 1, sizeof *places->gaps);
    places->sums = calloc(places->count + 1, sizeof *places->sums);
    places->degrees = calloc(places->count + 1, sizeof *places->degrees);
    if (!places->list || !places->gaps || !places->sums || !places->degrees)
        return -ENOMEM;
    for (size_t i = 0; i < places->count; i++) {
        struct graph_node *node = i < graph->node_count ? &graph->nodes[i] : &graph->bends[i - graph->node_count];
        if (i < graph->node_count)
            size_node(node);
        node->order = i;
        node->weight = (double)i;
        places->list[i] = node;
    }
    measure_gaps(places);
    return 0;
}

/* Puts what is in each layer below each other, in the order of the list. A bend is as wide as its layer. */
static void place(struct places *places)
{
    double x = MARGIN;
    for (size_t i = 0, end; i < places->count; i = end) {
        unsigned layer = places->list[i]->layer;
        double y = MARGIN + TITLE_HEIGHT, widest = 0;
        for (end = i; end < places->count && places->list[end]->layer == layer; end++) {
            struct graph_node *node = places->list[end];
            node->x = x;
            node->y = y;
            y += node->height + (node->title != NULL ? GAP_Y : GAP_Y / 2);
            widest = node->title != NULL && node->width > widest ? node->width : widest;
        }
        for (size_t j = i; j < end; j++)
            if (places->list[j]->title == NULL)
                places->list[j]->width = widest;
        x += widest + places->gaps[layer];
    }
}

static void pull(struct places *places, const struct graph_node *a, const struct graph_node *b)
{
    places->sums[a->order] += b->y + b->height / 2;
    places->sums[b->order] += a->y + a->height / 2;
    places->degrees[a->order]++;
    places->degrees[b->order]++;
}

/* Each wants to be where its neighbours are on the average. */
static void weigh(struct places *places)
{
    struct graph *graph = places->graph;
    memset(places->sums, 0, places->count * sizeof *places->sums);
    memset(places->degrees, 0, places->count * sizeof *places->degrees);
    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        bool forward = graph->nodes[edge->from].layer < graph->nodes[edge->to].layer;
        const struct graph_node *last = &graph->nodes[forward ? edge->from : edge->to];
        for (size_t j = 0; j < edge->bend_count; j++) {
            pull(places, last, &graph->bends[edge->first_bend + j]);
            last = &graph->bends[edge->first_bend + j];
        }
        pull(places, last, &graph->nodes[forward ? edge->to : edge->from]);
    }
    for (size_t i = 0; i < places->count; i++) {
        struct graph_node *node = places->list[i];
        size_t degree = places->degrees[node->order];
        node->weight = degree > 0 ? places->sums[node->order] / (double)degree : node->y + node->height / 2;
    }
}

int graph_layout(struct graph *graph)
{
    struct places places = {0};
    int rc = assign_layers(graph);
    if (rc == 0)
        rc = make_bends(graph);
    if (rc == 0)
        rc = places_init(&places, graph);
    for (int sweep = 0; rc == 0 && sweep < SWEEPS; sweep++) {
        if (sweep > 0)
            weigh(&places);
        qsort(places.list, places.count, sizeof *places.list, compare);
        place(&places);
    }
    places_fini(&places);
    return rc;
}
