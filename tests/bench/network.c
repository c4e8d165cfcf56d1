/*
 * network.c - two VMs of one network: runs a script in each and prints what the second one says.
 *
 *   bench-network PROGRAMS FIRST.lua SECOND.lua
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bioxen.h"

static char text[1024 * 1024];

static void fail(const struct bioxen_error *err)
{
    fprintf(stderr, "bench-network: %s\n", err->text);
    exit(1);
}

static uint32_t start(bioxen_manager *manager, const char *name, const char *file, const struct bioxen_string *args,
                      size_t arg_count)
{
    struct bioxen_config config;
    struct bioxen_error err;
    uint32_t vm;
    FILE *stream = fopen(file, "r");
    if (stream == NULL) {
        perror(file);
        exit(1);
    }
    bioxen_config_init(&config);
    config.name = name;
    config.chunk_name = "=bench";
    config.text = (struct bioxen_string){text, fread(text, 1, sizeof text, stream)};
    config.args = args;
    config.arg_count = arg_count;
    config.network = BIOXEN_NETWORK_SHARED;
    fclose(stream);
    if (bioxen_create(manager, &config, &vm, &err) != 0)
        fail(&err);
    return vm;
}

int main(int argc, char **argv)
{
    bioxen_manager *manager;
    struct bioxen_event event;
    struct bioxen_error err;
    const struct bioxen_string args[] = {{"bench", 5}, {"first", 5}};
    if (argc != 4) {
        fprintf(stderr, "usage: bench-network PROGRAMS FIRST.lua SECOND.lua\n");
        return 2;
    }
    if (bioxen_open_at(&manager, argv[1], &err) != 0)
        fail(&err);
    start(manager, "first", argv[2], args, 1);
    uint32_t second = start(manager, "second", argv[3], args, 2);
    for (int ended = 0; !ended;) {
        if (bioxen_next(manager, &event, -1, &err) < 0)
            fail(&err);
        if (event.type == BIOXEN_EVENT_OUTPUT)
            fwrite(event.bytes.bytes, 1, event.bytes.length, stdout);
        if (event.type == BIOXEN_EVENT_DEATH && event.record.error.bytes != NULL)
            fprintf(stderr, "%.*s\n", (int)event.record.error.length, event.record.error.bytes);
        ended = event.type == BIOXEN_EVENT_DEATH && event.vm == second;
    }
    bioxen_close(manager);
    return 0;
}
