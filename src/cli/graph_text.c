/*
 * graph_text.c - dot (Graphviz) and Mermaid. Nodes are numbered, and names are texts in quotes: no name is syntax.
 */
#include <string.h>

#include "graph.h"

/* ---- dot ---- */

static void put_dot(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        putc(*text, out);
    }
}

static void put_dot_node(FILE *out, const struct graph_node *node, size_t index, const char *indent)
{
    fprintf(out, "%sn%zu [label=\"", indent, index);
    put_dot(out, node->title);
    if (node->details != NULL) {
        fputs("\\n", out);
        put_dot(out, node->details);
    }
    fputs("\"];\n", out);
}

/* Has an earlier node this group? Then it is written already. */
static bool is_first_of_group(const struct graph *graph, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (graph->nodes[i].group != NULL && strcmp(graph->nodes[i].group, graph->nodes[index].group) == 0)
            return false;
    return true;
}

static void put_dot_group(FILE *out, const struct graph *graph, size_t first)
{
    const char *group = graph->nodes[first].group;
    fprintf(out, "  subgraph cluster_%zu {\n    label=\"", first);
    put_dot(out, group);
    fputs("\";\n", out);
    for (size_t i = first; i < graph->node_count; i++)
        if (graph->nodes[i].group != NULL && strcmp(graph->nodes[i].group, group) == 0)
            put_dot_node(out, &graph->nodes[i], i, "    ");
    fputs("  }\n", out);
}

void graph_write_dot(const struct graph *graph, FILE *out)
{
    fputs("digraph \"", out);
    put_dot(out, graph->name);
    fputs("\" {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
          "  edge [fontname=\"sans-serif\", fontsize=10];\n",
          out);
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].group == NULL)
            put_dot_node(out, &graph->nodes[i], i, "  ");
        else if (is_first_of_group(graph, i))
            put_dot_group(out, graph, i);
    }
    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        fprintf(out, "  n%zu -> n%zu [label=\"", edge->from, edge->to);
        put_dot(out, edge->label);
        fprintf(out, "\"%s%s];\n", edge->both ? ", dir=both" : "",
                edge->kind == GRAPH_DEPENDS ? ", style=dashed, constraint=false" : "");
    }
    fputs("}\n", out);
}

/* ---- Mermaid ---- */

static void put_mermaid(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\"#<>&;`|\\", *text) != NULL)
            fprintf(out, "#%d;", *text);
        else
            putc(*text, out);
    }
}

static void put_mermaid_node(FILE *out, const struct graph_node *node, size_t index, const char *indent)
{
    fprintf(out, "%sn%zu[\"", indent, index);
    put_mermaid(out, node->title);
    if (node->details != NULL) {
        fputs("<br/>", out);
        put_mermaid(out, node->details);
    }
    fputs("\"]\n", out);
}

static void put_mermaid_group(FILE *out, const struct graph *graph, size_t first)
{
    const char *group = graph->nodes[first].group;
    fprintf(out, "  subgraph g%zu [\"", first);
    put_mermaid(out, group);
    fputs("\"]\n", out);
    for (size_t i = first; i < graph->node_count; i++)
        if (graph->nodes[i].group != NULL && strcmp(graph->nodes[i].group, group) == 0)
            put_mermaid_node(out, &graph->nodes[i], i, "    ");
    fputs("  end\n", out);
}

void graph_write_mermaid(const struct graph *graph, FILE *out)
{
    fputs("flowchart LR\n", out);
    for (size_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].group == NULL)
            put_mermaid_node(out, &graph->nodes[i], i, "  ");
        else if (is_first_of_group(graph, i))
            put_mermaid_group(out, graph, i);
    }
    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct graph_edge *edge = &graph->edges[i];
        fprintf(out, "  n%zu %s|\"", edge->from, edge->kind == GRAPH_DEPENDS ? "-.->" : edge->both ? "<-->" : "-->");
        put_mermaid(out, edge->label);
        fprintf(out, "\"| n%zu\n", edge->to);
    }
}
