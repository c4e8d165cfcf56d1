/* cmd_check.c - bioxen check: everything that is wrong with a topology file, at once. Starts nothing of it. */
#include "topo.h"
#include "verb.h"

struct request {
    bool json;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)text, (void)number;
    ((struct request *)context)->json = true;
    return 0;
}

static void say_fine(const struct topo_file *file, const bioxen_checked *checked)
{
    const bioxen_node *topology = bioxen_checked_topology(checked);
    unsigned long long vms = bioxen_node_number(bioxen_node_find(topology, "instances"));
    unsigned long long links = bioxen_node_number(bioxen_node_find(topology, "links"));
    printf("%s: ok: %llu VM%s, %llu connection%s\n", file->path, vms, vms == 1 ? "" : "s", links,
           links == 1 ? "" : "s");
}

static int report(const struct request *request, const struct topo_file *file, const bioxen_checked *checked)
{
    int status = bioxen_checked_errors(checked) > 0 ? CLI_USAGE : CLI_OK;
    if (!request->json)
        topo_say(file, checked);
    else if (topo_say_json(file, checked, stdout) != 0)
        status = CLI_HOST;
    if (!request->json && status == CLI_OK)
        say_fine(file, checked);
    int written = cli_finish_output();
    return written != CLI_OK ? written : status;
}

static int check(const struct request *request, const char *path)
{
    struct topo_file file;
    bioxen_checked *checked = NULL;
    int status = topo_read(&file, path);
    if (status == CLI_OK)
        status = topo_check(&file, true, &checked);
    if (status == CLI_OK)
        status = report(request, &file, checked);
    bioxen_checked_free(checked);
    topo_fini(&file);
    return status;
}

static const struct cli_option options[] = {
    {.id = 256, .name = "json", .kind = CLI_FLAG, .help = "one JSON object a line for each fault, on standard output"},
};

static int run_check(int argc, char **argv)
{
    struct request request = {false};
    const char *path;
    enum cli_parsed parsed = topo_parse(&verb_check, argc, argv, take_option, &request, &path);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    return check(&request, path);
}

const struct cli_verb verb_check = {
    .name = "check",
    .arguments = "[--json] FILE.yaml",
    .summary = "Tell everything that is wrong with a topology file",
    .details =
        "Each fault with its file:line:column, the line, and what to do. Scripts are looked for beside the file "
        "and compiled,\n"
        "not run, in a jailed VM. Nothing is started. FILE may be - for standard input.\n"
        "\n"
        "Exit status: 0 when the file is in order (there may be warnings), 2 when not, 125 when it could not be "
        "found out.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_check,
};
