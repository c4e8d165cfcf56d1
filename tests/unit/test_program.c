/* test_program.c - the head of a program: what is encoded comes back, and what is no head is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/program.h"

#define TEXT(literal) {literal, sizeof(literal) - 1}

static void assert_same(const struct program_string *a, const struct program_string *b)
{
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->bytes, b->bytes, a->length);
}

/* Encodes, checks the header and decodes from a copy of exactly the head's size, so that a sanitizer sees a
 * byte too far. */
static void round_trip(const struct program *program, uint64_t text_length)
{
    char *bytes = NULL;
    size_t length = 0;
    struct bx_error err = {0};
    assert_int_equal(program_encode(program, text_length, &bytes, &length, &err), 0);
    struct program_header header;
    memcpy(&header, bytes, sizeof header);
    assert_int_equal(program_check_header(&header), 0);
    assert_int_equal(header.text_length, text_length);
    assert_int_equal(header.head_length, length - sizeof header);
    char *head = malloc(header.head_length);
    memcpy(head, bytes + sizeof header, header.head_length);
    struct program again = {0};
    assert_int_equal(program_decode(head, header.head_length, &again), 0);
    assert_same(&again.chunk, &program->chunk);
    assert_int_equal(again.arg_count, program->arg_count);
    for (uint32_t i = 0; i < program->arg_count; i++)
        assert_same(&again.args[i], &program->args[i]);
    assert_int_equal(again.env_count, program->env_count);
    for (uint32_t i = 0; i < 2 * program->env_count; i++)
        assert_same(&again.env[i], &program->env[i]);
    program_fini(&again);
    assert_null(again.args);
    free(head);
    free(bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct program_string args[] = {TEXT("script.lua"), TEXT(""), TEXT("a\0b"), TEXT("\xff\xfe")};
    struct program_string env[] = {TEXT("HOME"), TEXT("/"), TEXT("EMPTY"), TEXT("")};
    round_trip(&(struct program){TEXT("@script.lua"), args, 4, env, 2}, 12345);
    round_trip(&(struct program){TEXT("=stdin"), args, 1, NULL, 0}, 0);
    round_trip(&(struct program){.chunk = TEXT("=(command line)")}, BX_SCRIPT_MAX);
}

/* Every width that MessagePack has for the length of a string and the count of an array. */
static void test_widths(void **state)
{
    (void)state;
    static char big[70000];
    memset(big, 'x', sizeof big);
    static const uint32_t lengths[] = {0, 31, 32, 255, 256, 65535, 65536, 70000};
    static const uint32_t counts[] = {1, 15, 16, 17, 10000, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct program_string one = {big, lengths[i]};
        round_trip(&(struct program){TEXT("@x"), &one, 1, NULL, 0}, 1);
    }
    struct program_string *many = calloc(140000, sizeof *many);
    for (size_t i = 0; i < 140000; i++)
        many[i] = (struct program_string){"ab", 2};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        round_trip(&(struct program){TEXT("@x"), many, counts[i], many, counts[i]}, 1);
    free(many);
}

static void test_too_large(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t length = 0;
    struct bx_error err = {0};
    struct program_string chunk = TEXT("@x");
    struct program program = {.chunk = chunk};
    assert_int_equal(program_encode(&program, (uint64_t)BX_SCRIPT_MAX + 1, &bytes, &length, &err), -E2BIG);
    assert_non_null(strstr(err.text, "64 MiB"));
    char *big = calloc(1, BX_PROGRAM_HEAD_MAX + 1);
    struct program_string arg = {big, BX_PROGRAM_HEAD_MAX + 1};
    program = (struct program){chunk, &arg, 1, NULL, 0};
    assert_int_equal(program_encode(&program, 1, &bytes, &length, &err), -E2BIG);
    assert_null(bytes);
    free(big);
}

static void test_headers(void **state)
{
    (void)state;
    struct program_header good = {PROGRAM_MAGIC, BX_PROGRAM_HEAD_MAX, BX_SCRIPT_MAX};
    assert_int_equal(program_check_header(&good), 0);
    struct program_header bad = good;
    bad.magic++;
    assert_int_equal(program_check_header(&bad), -EBADMSG);
    bad = good;
    bad.head_length++;
    assert_int_equal(program_check_header(&bad), -EBADMSG);
    bad = good;
    bad.text_length++;
    assert_int_equal(program_check_header(&bad), -EBADMSG);
}

static int decode(const char *bytes, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, bytes, length);
    struct program program = {0};
    int rc = program_decode(copy, length, &program);
    if (rc != 0)
        assert_null(program.args);
    program_fini(&program);
    free(copy);
    return rc;
}

#define DECODE(literal) decode(literal, sizeof(literal) - 1)

static void test_what_is_no_head(void **state)
{
    (void)state;
    assert_int_equal(DECODE("\x93\xa2@x\x90\x80"), 0);
    assert_int_equal(DECODE("\xdc\x00\x03\xda\x00\x02@x\xdd\x00\x00\x00\x00\xdf\x00\x00\x00\x00"), 0);
    assert_int_equal(DECODE(""), -EBADMSG);
    assert_int_equal(DECODE("\x92\xa2@x\x90"), -EBADMSG);              /* two fields */
    assert_int_equal(DECODE("\x94\xa2@x\x90\x80\xc0"), -EBADMSG);      /* four */
    assert_int_equal(DECODE("\x93\xa2@x\x90\x80\xc0"), -EBADMSG);      /* something behind it */
    assert_int_equal(DECODE("\x93\xa2@x\x91\xc0\x80"), -EBADMSG);      /* an argument that is nil */
    assert_int_equal(DECODE("\x93\xa2@x\x91\x91\xa0\x80"), -EBADMSG);  /* an array in the array */
    assert_int_equal(DECODE("\x93\xa2@x\x80\x80"), -EBADMSG);          /* a map for an array */
    assert_int_equal(DECODE("\x93\xa2@x\x90\x90"), -EBADMSG);          /* and the other way */
    assert_int_equal(DECODE("\x93\xa2@x\x90\x81\xa1k"), -EBADMSG);     /* a name without a value */
    assert_int_equal(DECODE("\x93\xc4\x02@x\x90\x80"), -EBADMSG);      /* binary for a string */
    assert_int_equal(DECODE("\x93\xa2@x\xdd\xff\xff\xff\xff"), -EBADMSG); /* counts that no memory holds */
    assert_int_equal(DECODE("\x93\xa2@x\x90\xdf\x80\x00\x00\x00"), -EBADMSG);
    assert_int_equal(DECODE("\x93\xa2@x\xdc\x00"), -EBADMSG);
    assert_int_equal(DECODE("\x93\xdb\xff\xff\xff\xff@x"), -EBADMSG);
}

/* No beginning of a head is a head, and no end of it. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char head[] = "\x93\xa2@x\x92\xa1x\xd9\x02yz\x82\xa1k\xa1v\xa1l\xda\x00\x01w";
    assert_int_equal(decode(head, sizeof head - 1), 0);
    for (size_t length = 0; length < sizeof head - 1; length++)
        assert_int_equal(decode(head, length), -EBADMSG);
    for (size_t from = 1; from < sizeof head - 1; from++)
        assert_int_equal(decode(head + from, sizeof head - 1 - from), -EBADMSG);
}

int main(void)
{
    program_fini(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_widths),          cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_headers),    cmocka_unit_test(test_what_is_no_head), cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
