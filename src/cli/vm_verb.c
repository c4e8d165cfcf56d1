/* vm_verb.c - asks for each VM in turn; the first failure does not keep the others from being asked. */
#include "vm_verb.h"

#define GRACE_MS 10000

struct request {
    struct remote remote;
    unsigned grace_ms;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct request *request = context;
    if (option->id != VM_VERB_GRACE)
        return remote_take_option(option, text, number, &request->remote);
    request->grace_ms = (unsigned)number;
    return 0;
}

static int ask(struct request *request, enum bioxen_vm_verb what, const char *vm)
{
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t number = 0;
    int rc = bioxen_vm_start(request->remote.manager, what, vm, request->grace_ms, &number, &err);
    int status = remote_wait(&request->remote, rc, number, vm, &answer, &err);
    if (status == CLI_OK && request->remote.json)
        remote_print_json(bioxen_answer_node(answer));
    bioxen_answer_free(answer);
    return status;
}

int vm_verb_run(const struct cli_verb *verb, enum bioxen_vm_verb what, int argc, char **argv)
{
    struct request request = {.grace_ms = GRACE_MS};
    int count;
    enum cli_parsed parsed = remote_parse(verb, argc, argv, take_option, &request, 1, -1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&request.remote);
    bool open = status == CLI_OK;
    for (int i = 1; open && i <= count; i++) {
        int one = ask(&request, what, argv[i]);
        status = one > status ? one : status;
    }
    remote_close(&request.remote);
    int written = cli_finish_output();
    return status != CLI_OK ? status : written;
}
