/*
 * graph_svg.c - draws what graph_layout.c placed: boxes, curves, labels. Texts are escaped; there is no script and no
 * link.
 */
#include <string.h>

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

struct curve {
    double x1, y1, x2, y2, x3, y3, x4, y4;
};

/* From side to side where the layers allow it, else around. */
static struct curve curve_of(const struct graph *graph, const struct graph_edge *edge)
{
    const struct graph_node *from = &graph->nodes[edge->from], *to = &graph->nodes[edge->to];
    double offset = edge->kind == GRAPH_DEPENDS ? 9 : 0; /* beside a wire between the same two */
    double y1 = from->y + from->height / 2 + offset, y4 = to->y + to->height / 2 + offset;
    if (from->layer < to->layer) {
        double x1 = from->x + from->width, x4 = to->x, reach = (x4 - x1) / 2;
        return (struct curve){x1, y1, x1 + reach, y1, x4 - reach, y4, x4, y4};
    }
    if (from->layer > to->layer) {
        double x1 = from->x, x4 = to->x + to->width, reach = (x1 - x4) / 2;
        return (struct curve){x1, y1 + 6, x1 - reach, y1 + 6, x4 + reach, y4 + 6, x4, y4 + 6};
    }
    if (from == to) { /* replicas among themselves: a loop above the box */
        double x = from->x + from->width, y = from->y;
        return (struct curve){x, y + 10, x + 40, y - 6, x + 4, y - 30, x - 16, y};
    }
    double x1 = from->x + from->width, x4 = to->x + to->width, right = (x1 > x4 ? x1 : x4) + 50;
    return (struct curve){x1, y1, right, y1, right, y4, x4, y4};
}

static void put_edge(FILE *out, const struct graph *graph, const struct graph_edge *edge)
{
    struct curve c = curve_of(graph, edge);
    fprintf(out, "  <path class=\"%s\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\" marker-end=\"url(#head)\"%s/>\n",
            edge->kind == GRAPH_DEPENDS ? "depends" : "wire", c.x1, c.y1, c.x2, c.y2, c.x3, c.y3, c.x4, c.y4,
            edge->both ? " marker-start=\"url(#head)\"" : "");
    double x = (c.x1 + 3 * c.x2 + 3 * c.x3 + c.x4) / 8, y = (c.y1 + 3 * c.y2 + 3 * c.y3 + c.y4) / 8;
    put_text(out, x, y - 4 + (edge->kind == GRAPH_DEPENDS ? 14 : 0), "label", edge->label);
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
