/*
 * idle.c - N idle VMs for the memory benchmark: each has run a line of Lua and waits in a require that is
 * never answered.
 * Prints "ready" when all wait, ends at the end of its standard input. Usage: idle N
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/bioxen.h"

static int fail(const char *what, const struct bioxen_error *err)
{
    fprintf(stderr, "idle: %s: %s\n", what, err->text);
    return 1;
}

static int start(bioxen_manager *manager, int count, struct bioxen_error *err)
{
    static const char text[] = "local r = math.sqrt(16) require 'never'";
    static const struct bioxen_string args[] = {{"idle", 4}};
    struct bioxen_config config;
    bioxen_config_init(&config);
    config.text = (struct bioxen_string){text, sizeof text - 1};
    config.args = args;
    config.arg_count = 1;
    for (int i = 0; i < count; i++) {
        uint32_t vm;
        if (bioxen_create(manager, &config, &vm, err) != 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct bioxen_error err = {0};
    bioxen_manager *manager;
    int count = argc > 1 ? atoi(argv[1]) : 1;
    if (bioxen_open(&manager, &err) != 0)
        return fail("open", &err);
    if (start(manager, count, &err) != 0)
        return fail("create", &err);
    for (int waiting = 0; waiting < count;) {
        struct bioxen_event event;
        if (bioxen_next(manager, &event, 20000, &err) <= 0)
            return fail("wait", &err);
        waiting += event.type == BIOXEN_EVENT_NEED;
    }
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
    bioxen_close(manager);
    return 0;
}
