/* fuzz_program.c - the head of a program: names, arguments and environment, as a client may write it. */
#include "fuzz.h"

#include "common/program.h"

/* Nobody reads the bytes of an empty string: it may point anywhere. */
static int inside(const struct program_string *string, const char *head, size_t size)
{
    return string->length == 0 || (string->bytes >= head && string->length <= size &&
                                   string->bytes <= head + size - string->length);
}

static int same(const struct program_string *a, const struct program_string *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

static void check_inside(const struct program *program, const char *head, size_t size)
{
    PROMISE(inside(&program->chunk, head, size));
    for (uint32_t i = 0; i < program->arg_count; i++)
        PROMISE(inside(&program->args[i], head, size));
    for (uint32_t i = 0; i < 2 * program->env_count; i++)
        PROMISE(inside(&program->env[i], head, size));
}

static void check_round_trip(const struct program *program)
{
    char *bytes = NULL;
    size_t length = 0;
    struct program_header header;
    struct program again = {0};
    if (program_encode(program, 7, &bytes, &length, NULL) != 0)
        return;
    memcpy(&header, bytes, sizeof header);
    PROMISE(program_check_header(&header) == 0 && header.text_length == 7);
    PROMISE(header.head_length == length - sizeof header);
    PROMISE(program_decode(bytes + sizeof header, header.head_length, &again) == 0);
    PROMISE(same(&again.chunk, &program->chunk));
    PROMISE(again.arg_count == program->arg_count && again.env_count == program->env_count);
    for (uint32_t i = 0; i < program->arg_count; i++)
        PROMISE(same(&again.args[i], &program->args[i]));
    for (uint32_t i = 0; i < 2 * program->env_count; i++)
        PROMISE(same(&again.env[i], &program->env[i]));
    program_fini(&again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program_header header;
    if (size >= sizeof header) {
        memcpy(&header, data, sizeof header);
        if (program_check_header(&header) == 0)
            PROMISE(header.head_length <= BX_PROGRAM_HEAD_MAX && header.text_length <= BX_SCRIPT_MAX);
    }
    char *head = fuzz_exact(data, size);
    struct program program = {0};
    if (program_decode(head, size, &program) == 0) {
        check_inside(&program, head, size);
        check_round_trip(&program);
    }
    program_fini(&program);
    free(head);
    return 0;
}
