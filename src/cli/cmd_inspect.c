/* cmd_inspect.c - bioxen inspect: all about one VM, as JSON. */
#include "remote.h"

static int show(const struct remote *remote, const bioxen_node *node)
{
    json_t *json = remote_json(node);
    size_t flags = remote->json ? JSON_COMPACT : JSON_INDENT(2);
    if (json == NULL || json_dumpf(json, stdout, flags) != 0)
        cli_say("out of memory");
    json_decref(json);
    putchar('\n');
    return cli_finish_output();
}

static int run_inspect(int argc, char **argv)
{
    struct remote remote = {0};
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t request = 0;
    int count;
    enum cli_parsed parsed =
        remote_parse(&verb_inspect, argc, argv, remote_take_option, &remote, 1, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&remote);
    if (status == CLI_OK) {
        int rc = bioxen_inspect_start(remote.manager, argv[1], &request, &err);
        status = remote_wait(&remote, rc, request, argv[1], &answer, &err);
    }
    if (status == CLI_OK)
        status = show(&remote, bioxen_answer_node(answer));
    bioxen_answer_free(answer);
    remote_close(&remote);
    return status;
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("the same on one line"),
};

const struct cli_verb verb_inspect = {
    .name = "inspect",
    .arguments = "[options] VM",
    .summary = "Tell all about one VM, as JSON",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_inspect,
};
