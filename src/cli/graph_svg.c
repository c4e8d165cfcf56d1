/*
 * graph_svg.c - draws what graph_layout.c placed: boxes, curves, labels. Texts are escaped; there is no script and no
 * link.
 */
#include "graph.h"

#define EDGE_MARGIN 60.0

static void put_xml(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: putc(*text, out); break;
        }
}

static void put_text(FILE *out, double x, double y, const char *class, const char *text)
{
    fprintf(out, "  <text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    put_xml(out, text);
    fputs("</text>\n", out);
}

static void put_node(FILE *out, const struct graph_node *node)
{
    double middle = node->x + node->width / 2, y = node->y + 24;
    fprintf(out, "  <rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"7\"/>\n", node->x, node->y,
            node->width, node->height);
    put_text(out, middle, y, "title", node->title);
    if (node->details != NULL)
        put_text(out, middle, y += 16, "details", node->details);
    if (node->group != NULL)
        put_text(out, middle, y + 16, "group", node->group);
}

struct point {
    double x, y;
};

/* One curve that leaves and arrives horizontally; returns its middle. */
static struct point put_curve(FILE *out, struct point from, struct point to)
{
    double reach = (to.x - from.x) / 2;
    fprintf(out, " C%.1f %.1f %.1f %.1f %.1f %.1f", from.x + reach, from.y, to.x - reach, to.y, to.x, to.y);
    return (struct point){(from.x + to.x) / 2, (from.y + to.y) / 2};
}

static struct point middle_of(const struct graph_node *node, double offset)
{
    return (struct point){node->x + node->width / 2, node->y + node->height / 2 + offset};
}

/* From left to right through its bends; returns where its label is to be. */
static struct point put_through(FILE *out, const struct graph *graph, const struct graph_edge *edge, double offset)
{
    bool forward = graph->nodes[edge->from].layer < graph->nodes[edge->to].layer;
    const struct graph_node *left = &graph->nodes[forward ? edge->from : edge->to];
    const struct graph_node *right = &graph->nodes[forward ? edge->to : edge->from];
    struct point at = {left->x + left->width, middle_of(left, offset).y}, label = at;
    fprintf(out, "M%.1f %.1f", at.x, at.y);
    for (size_t i = 0; i <= edge->bend_count; i++) {
        const struct graph_node *next = i < edge->bend_count ? &graph->bends[edge->first_bend + i] : right;
        double y = next == right ? middle_of(right, offset).y : middle_of(next, 0).y;
        struct point middle = put_curve(out, at, (struct point){next->x, y});
        if (i == edge->bend_count / 2)
            label = middle;
        at = (struct point){next->x + next->width, y};
        if (next != right)
            fprintf(out, " L%.1f %.1f", at.x, at.y);
    }
    return label;
}

/* Beside the boxes, for two of one layer; above the box, for replicas among themselves. */
static struct point put_around(FILE *out, const struct graph_node *from, const struct graph_node *to, double offset)
{
    double x1 = from->x + from->width, x2 = to->x + to->width, right = (x1 > x2 ? x1 : x2) + 44;
    double y1 = middle_of(from, offset).y, y2 = middle_of(to, offset).y;
    if (from == to) {
        fprintf(out, "M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f", x1, from->y + 10, x1 + 40, from->y - 6, x1 + 4,
                from->y - 30, x1 - 16, from->y);
        return (struct point){x1 + 14, from->y - 10};
    }
    fprintf(out, "M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f", x1, y1, right, y1, right, y2, x2, y2);
    return (struct point){right - 8, (y1 + y2) / 2};
}

static void put_edge(FILE *out, const struct graph *graph, const struct graph_edge *edge)
{
    const struct graph_node *from = &graph->nodes[edge->from], *to = &graph->nodes[edge->to];
    bool depends = edge->kind == GRAPH_DEPENDS, forward = from->layer <= to->layer;
    double offset = depends ? 9 : 0; /* beside a wire between the same two */
    fprintf(out, "  <path class=\"%s\" d=\"", depends ? "depends" : "wire");
    struct point label =
        from->layer == to->layer ? put_around(out, from, to, offset) : put_through(out, graph, edge, offset);
    fprintf(out, "\"%s%s/>\n", forward || edge->both ? " marker-end=\"url(#head)\"" : "",
            !forward || edge->both ? " marker-start=\"url(#head)\"" : "");
    put_text(out, label.x, label.y + (depends ? 12 : -4), "label", edge->label);
}

static void put_head(FILE *out, const struct graph *graph)
{
    double width = 200, height = 100;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        width = node->x + node->width > width ? node->x + node->width : width;
        height = node->y + node->height > height ? node->y + node->height : height;
    }
    width += EDGE_MARGIN + 60;
    height += EDGE_MARGIN;
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
        "font-family=\"sans-serif\" text-anchor=\"middle\">\n"
        "  <style>\n"
        "    rect { fill: #eef4fb; stroke: #33587f; stroke-width: 1.4 }\n"
        "    path { fill: none; stroke: #33587f; stroke-width: 1.4 }\n"
        "    path.depends { stroke: #8a8a8a; stroke-dasharray: 5 4 }\n"
        "    text { fill: #1c1c1c; font-size: 13px }\n"
        "    text.details, text.group { font-size: 11px; fill: #555 }\n"
        "    text.group { font-style: italic }\n"
        "    text.label { font-size: 11px; fill: #333; paint-order: stroke; stroke: #fff; stroke-width: 3px }\n"
        "    text.name { font-size: 16px; font-weight: bold; text-anchor: start }\n"
        "  </style>\n"
        "  <defs><marker id=\"head\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" "
        "orient=\"auto-start-reverse\"><path d=\"M0 0 L10 5 L0 10 z\" style=\"fill: #33587f; stroke: "
        "none\"/></marker></defs>\n"
        "  <rect width=\"100%%\" height=\"100%%\" style=\"fill: #fff; stroke: none\"/>\n",
        width, height, width, height);
}

int graph_write_svg(struct graph *graph, FILE *out)
{
    int rc = graph_layout(graph);
    if (rc != 0)
        return rc;
    put_head(out, graph);
    put_text(out, 30, 34, "name", graph->name);
    for (size_t i = 0; i < graph->edge_count; i++)
        put_edge(out, graph, &graph->edges[i]);
    for (size_t i = 0; i < graph->node_count; i++)
        put_node(out, &graph->nodes[i]);
    fputs("</svg>\n", out);
    return 0;
}
