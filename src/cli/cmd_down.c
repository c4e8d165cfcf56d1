/* cmd_down.c - bioxen down: takes a topology, or all, down. */
#include "remote.h"

static int show(const struct remote *remote, const bioxen_node *node)
{
    const bioxen_node *names = bioxen_node_find(node, "topologies");
    if (remote->json) {
        remote_print_json(node);
        return cli_finish_output();
    }
    for (size_t i = 0; i < bioxen_node_count(names); i++) {
        struct bioxen_string name = bioxen_node_text(bioxen_node_item(names, i));
        cli_say("%.*s: down", (int)name.length, name.bytes);
    }
    return CLI_OK;
}

static int run_down(int argc, char **argv)
{
    struct remote remote = {0};
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t request = 0;
    int count;
    enum cli_parsed parsed = remote_parse(&verb_down, argc, argv, remote_take_option, &remote, 0, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&remote);
    if (status == CLI_OK) {
        int rc = bioxen_down_start(remote.manager, count == 1 ? argv[1] : NULL, &request, &err);
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
    REMOTE_OPTION_JSON("one JSON object: what went down"),
};

const struct cli_verb verb_down = {
    .name = "down",
    .arguments = "[options] [TOPOLOGY]",
    .summary = "Take a topology down, or all of them",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_down,
};
