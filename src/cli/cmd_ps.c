/* cmd_ps.c - bioxen ps: the VMs of a daemon's topologies. */
#include <stdlib.h>
#include <string.h>

#include "remote.h"

static char *show_last(const bioxen_node *vm)
{
    char *outcome = remote_text(vm, "outcome"), *text = NULL;
    if (outcome != NULL && outcome[0] != '\0' &&
        asprintf(&text, "%s (%llu)", outcome, (unsigned long long)remote_number(vm, "exit_code")) < 0)
        text = NULL;
    free(outcome);
    return text;
}

static void add_row(struct table *table, const bioxen_node *vm)
{
    bool runs = remote_number(vm, "pid") != 0;
    table_add(table, remote_text(vm, "name"));
    table_add(table, remote_text(vm, "topology"));
    table_add(table, remote_text(vm, "state"));
    table_add(table, strdup(remote_number(vm, "ready") ? "yes" : "no"));
    table_add(table, remote_text(vm, "address"));
    table_add(table, show_number(remote_number(vm, "restarts")));
    table_add(table, runs ? show_age(remote_number(vm, "uptime_us")) : NULL);
    table_add(table, show_last(vm));
}

static int show(const struct remote *remote, const bioxen_node *list)
{
    static const char *const titles[] = {"NAME",    "TOPOLOGY", "STATE",  "READY",
                                         "ADDRESS", "RESTARTS", "UPTIME", "LAST END"};
    struct table table;
    if (remote->json) {
        remote_print_json(list);
        return cli_finish_output();
    }
    table_init(&table, titles, sizeof titles / sizeof *titles);
    for (size_t i = 0; i < bioxen_node_count(list); i++)
        add_row(&table, bioxen_node_item(list, i));
    table_print(&table, stdout);
    return cli_finish_output();
}

static int run_ps(int argc, char **argv)
{
    struct remote remote = {0};
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t request = 0;
    int count;
    enum cli_parsed parsed = remote_parse(&verb_ps, argc, argv, remote_take_option, &remote, 0, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&remote);
    if (status == CLI_OK) {
        int rc =
            bioxen_list_start(remote.manager, BIOXEN_LIST_VMS, count == 1 ? argv[1] : NULL, &request, &err);
        status = remote_wait(&remote, rc, request, NULL, &answer, &err);
    }
    if (status == CLI_OK)
        status = show(&remote, bioxen_answer_node(answer));
    bioxen_answer_free(answer);
    remote_close(&remote);
    return status;
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON list instead of a table"),
};

const struct cli_verb verb_ps = {
    .name = "ps",
    .arguments = "[options] [TOPOLOGY]",
    .summary = "List the VMs of the topologies that are up",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_ps,
};
