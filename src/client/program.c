/*
 * program.c - the program travels as one sealed memfd: the orchestrator passes it on without reading it, and nobody can
 * change it while a VM reads it.
 */
#include "program.h"

#include <errno.h>
#include <stdlib.h>

#include "common/memfd.h"
#include "common/program.h"

int program_memfd(const char *head, size_t head_length, struct bioxen_string text, struct bx_error *err)
{
    int fd = bx_memfd(head, head_length, text.bytes, text.length);
    return fd >= 0 ? fd : bx_fail_errno(err, -fd, "cannot hold the script in memory");
}

static void copy_strings(const struct bioxen_string *from, size_t count, struct program_string *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (struct program_string){from[i].bytes, (uint32_t)from[i].length};
}

static int encode(const struct bioxen_config *config, struct program_string *strings, char **head, size_t *length,
                  struct bx_error *err)
{
    size_t chunk_length = 0;
    while (config->chunk_name[chunk_length] != '\0')
        chunk_length++;
    copy_strings(config->args, config->arg_count, strings);
    copy_strings(config->env, 2 * config->env_count, strings + config->arg_count);
    struct program program = {
        .chunk = {config->chunk_name, (uint32_t)chunk_length},
        .args = strings,
        .arg_count = (uint32_t)config->arg_count,
        .env = strings + config->arg_count,
        .env_count = (uint32_t)config->env_count,
    };
    return program_encode(&program, config->text.length, head, length, err);
}

int program_from_config(const struct bioxen_config *config, struct bx_error *err)
{
    struct program_string *strings = calloc(config->arg_count + 2 * config->env_count + 1, sizeof *strings);
    if (strings == NULL)
        return bx_fail_errno(err, ENOMEM, "the script's arguments");
    char *head = NULL;
    size_t length = 0;
    int rc = encode(config, strings, &head, &length, err);
    if (rc == 0)
        rc = program_memfd(head, length, config->text, err);
    free(head);
    free(strings);
    return rc;
}
