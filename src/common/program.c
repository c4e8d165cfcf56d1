/*
 * program.c - the program's head: encoder and decoder side by side, over msgpack-c.
 *
 * The decoder trusts nothing that it is told: the counts of arrays and maps are compared with the bytes that
 * are left before anything is allocated for them (msgpack-c by itself allocates 24 bytes for each element
 * that a five-byte message promises), and what is left over at the end makes the whole head bad.
 */
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void pack_string(msgpack_packer *packer, const struct program_string *string)
{
    msgpack_pack_str(packer, string->length);
    if (string->length > 0)
        msgpack_pack_str_body(packer, string->bytes, string->length);
}

/* Returns 0, or -1 when the buffer could not grow. */
static int pack_head(msgpack_packer *packer, const struct program *program)
{
    int failed = msgpack_pack_array(packer, 3);
    pack_string(packer, &program->chunk);
    failed |= msgpack_pack_array(packer, program->arg_count);
    for (uint32_t i = 0; i < program->arg_count; i++)
        pack_string(packer, &program->args[i]);
    failed |= msgpack_pack_map(packer, program->env_count);
    for (uint32_t i = 0; i < 2 * program->env_count; i++)
        pack_string(packer, &program->env[i]);
    return failed ? -1 : 0;
}

/* An upper bound of the head's size: a string has at most five bytes before it, the three containers too. */
static uint64_t head_bound(const struct program *program)
{
    uint64_t bound = 4 * 5 + (uint64_t)program->chunk.length;
    for (uint32_t i = 0; i < program->arg_count; i++)
        bound += 5 + (uint64_t)program->args[i].length;
    for (uint32_t i = 0; i < 2 * program->env_count; i++)
        bound += 5 + (uint64_t)program->env[i].length;
    return bound;
}

int program_encode(const struct program *program, uint64_t text_length, char **out, size_t *out_length,
                   struct bx_error *err)
{
    if (text_length > BX_SCRIPT_MAX)
        return bx_fail(err, E2BIG, "the script has more than %u MiB", BX_SCRIPT_MAX >> 20);
    /* Packing into memory that is large enough cannot fail halfway. */
    uint64_t bound = head_bound(program);
    if (bound > BX_PROGRAM_HEAD_MAX)
        return bx_fail(err, E2BIG, "arguments and environment of the script have more than %u MiB",
                       BX_PROGRAM_HEAD_MAX >> 20);
    msgpack_sbuffer buffer = {
        .data = malloc(sizeof(struct program_header) + bound),
        .size = sizeof(struct program_header),
        .alloc = sizeof(struct program_header) + bound,
    };
    if (buffer.data == NULL)
        return bx_fail_errno(err, ENOMEM, "cannot encode the program");
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    if (pack_head(&packer, program) < 0) {
        free(buffer.data);
        return bx_fail_errno(err, ENOMEM, "cannot encode the program");
    }
    struct program_header header = {
        .magic = PROGRAM_MAGIC,
        .head_length = (uint32_t)(buffer.size - sizeof header),
        .text_length = text_length,
    };
    memcpy(buffer.data, &header, sizeof header);
    *out = buffer.data;
    *out_length = buffer.size;
    return 0;
}

int program_check_header(const struct program_header *header)
{
    return header->magic == PROGRAM_MAGIC && header->head_length <= BX_PROGRAM_HEAD_MAX &&
                   header->text_length <= BX_SCRIPT_MAX
               ? 0
               : -EBADMSG;
}

struct cursor {
    const char *bytes;
    size_t length, at;
};

/* The number after a container's head of `width` bytes, big-endian. */
static bool take_number(struct cursor *cursor, unsigned width, uint32_t *out)
{
    if (cursor->length - cursor->at < width)
        return false;
    uint32_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | (unsigned char)cursor->bytes[cursor->at++];
    *out = value;
    return true;
}

/* Reads the head of an array (`fixed` 0x90, `wide` 0xdc) or a map (0x80, 0xde): how many strings follow it. */
static bool take_count(struct cursor *cursor, unsigned char fixed, unsigned char wide, uint32_t each, uint32_t *out)
{
    if (cursor->at == cursor->length)
        return false;
    unsigned char head = (unsigned char)cursor->bytes[cursor->at++];
    uint32_t count = head & 0x0f;
    if ((head & 0xf0) != fixed) {
        if (head != wide && head != wide + 1)
            return false;
        if (!take_number(cursor, head == wide ? 2 : 4, &count))
            return false;
    }
    /* Every string takes a byte at least: more than the bytes that are left is a lie. */
    if (count > (cursor->length - cursor->at) / each)
        return false;
    *out = count;
    return true;
}

static bool is_string_head(unsigned char head)
{
    return (head & 0xe0) == 0xa0 || (head >= 0xd9 && head <= 0xdb);
}

static bool take_string(struct cursor *cursor, struct program_string *out)
{
    if (cursor->at == cursor->length || !is_string_head((unsigned char)cursor->bytes[cursor->at]))
        return false;
    msgpack_unpacked one;
    msgpack_unpacked_init(&one);
    bool good = msgpack_unpack_next(&one, cursor->bytes, cursor->length, &cursor->at) == MSGPACK_UNPACK_SUCCESS &&
                one.data.type == MSGPACK_OBJECT_STR;
    if (good)
        *out = (struct program_string){one.data.via.str.ptr, one.data.via.str.size};
    msgpack_unpacked_destroy(&one);
    return good;
}

static int take_strings(struct cursor *cursor, uint32_t count, struct program_string **out)
{
    struct program_string *strings = calloc(count > 0 ? count : 1, sizeof *strings);
    if (strings == NULL)
        return -ENOMEM;
    *out = strings; /* the caller's program_fini frees it */
    for (uint32_t i = 0; i < count; i++)
        if (!take_string(cursor, &strings[i]))
            return -EBADMSG;
    return 0;
}

static int decode(struct cursor *cursor, struct program *program)
{
    uint32_t fields = 0, args = 0, pairs = 0;
    if (!take_count(cursor, 0x90, 0xdc, 1, &fields) || fields != 3 || !take_string(cursor, &program->chunk) ||
        !take_count(cursor, 0x90, 0xdc, 1, &args))
        return -EBADMSG;
    int failed = take_strings(cursor, args, &program->args);
    if (failed)
        return failed;
    if (!take_count(cursor, 0x80, 0xde, 2, &pairs))
        return -EBADMSG;
    failed = take_strings(cursor, 2 * pairs, &program->env);
    if (failed)
        return failed;
    program->arg_count = args;
    program->env_count = pairs;
    return cursor->at == cursor->length ? 0 : -EBADMSG;
}

int program_decode(const char *head, size_t length, struct program *out)
{
    struct cursor cursor = {.bytes = head, .length = length};
    struct program program = {0};
    int failed = length <= BX_PROGRAM_HEAD_MAX ? decode(&cursor, &program) : -EBADMSG;
    if (failed)
        program_fini(&program);
    else
        *out = program;
    return failed;
}

void program_fini(struct program *program)
{
    if (program == NULL)
        return;
    free(program->args);
    free(program->env);
    *program = (struct program){0};
}
