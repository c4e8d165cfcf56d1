/* cmd_graph.c - bioxen graph: a topology file as a picture. No other program draws it. */
#include <string.h>

#include "graph.h"
#include "topo.h"
#include "verb.h"

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)number;
    *(const char **)context = text;
    return 0;
}

static int draw(const char *format, const bioxen_checked *checked)
{
    struct graph graph;
    int rc = graph_init(&graph, bioxen_checked_topology(checked));
    if (rc == 0 && strcmp(format, "mermaid") == 0)
        graph_write_mermaid(&graph, stdout);
    else if (rc == 0 && strcmp(format, "svg") == 0)
        rc = graph_write_svg(&graph, stdout);
    else if (rc == 0)
        graph_write_dot(&graph, stdout);
    graph_fini(&graph);
    if (rc == 0)
        return cli_finish_output();
    cli_say("out of memory");
    return CLI_HOST;
}

static int graph_file(const char *format, const char *path)
{
    struct topo_file file;
    bioxen_checked *checked = NULL;
    int status = topo_read(&file, path);
    if (status == CLI_OK)
        status = topo_check(&file, false, &checked);
    if (status == CLI_OK && bioxen_checked_errors(checked) > 0) {
        topo_say(&file, checked);
        status = CLI_USAGE;
    }
    if (status == CLI_OK)
        status = draw(format, checked);
    bioxen_checked_free(checked);
    topo_fini(&file);
    return status;
}

static const struct cli_option options[] = {
    {.id = 256,
     .name = "format",
     .kind = CLI_WORD,
     .value = "NAME",
     .words = "dot|mermaid|svg",
     .fallback = "dot",
     .help = "what to write: dot, mermaid or svg"},
};

static int run_graph(int argc, char **argv)
{
    const char *format = "dot", *path;
    enum cli_parsed parsed = topo_parse(&verb_graph, argc, argv, take_option, &format, &path);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    return graph_file(format, path);
}

const struct cli_verb verb_graph = {
    .name = "graph",
    .arguments = "[--format dot|mermaid|svg] FILE.yaml",
    .summary = "Draw a topology file: its VMs, wires and dependencies",
    .details =
        "The picture goes to standard output. dot is for Graphviz, mermaid for Markdown, svg for a browser: it "
        "needs no other\n"
        "program. Replicas are one box. FILE may be - for standard input.\n"
        "\n"
        "Exit status: 0; 2 when the file is not in order, as bioxen check tells; 125 when bioxen or the host "
        "could not.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_graph,
};
