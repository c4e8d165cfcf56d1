/* test_record.c - the death record round-trips, and a damaged one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/bioxen.h"
#include "common/record.h"

static void fill(struct record *record)
{
    strcpy(record->name, "vm-1");
    record->outcome = RECORD_POLICY;
    record->exit_code = 159;
    record->signal = 31;
    strcpy(record->syscall, "ptrace");
    bx_text_set(&record->error, "a\0b\xff", 4);
    record->wall_us = UINT64_MAX;
    record->cpu_us = 12;
    record->memory_peak = 1ull << 40;
    record->output_bytes = 7;
    record->limits[RECORD_LIMIT_MEMORY].asked = 64;
    strcpy(record->limits[RECORD_LIMIT_MEMORY].enforced_by, "cgroup-v2, allocator");
}

static void pack(const struct record *record, msgpack_sbuffer *out)
{
    msgpack_packer packer;
    msgpack_sbuffer_init(out);
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    record_pack(&packer, record);
}

static int unpack(const char *bytes, size_t length, struct record *out)
{
    msgpack_unpacked unpacked;
    int rc = bx_unpack(&unpacked, bytes, length);
    if (rc != 0)
        return rc;
    rc = record_unpack(&unpacked.data, out);
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct record before = {0}, after = {0};
    fill(&before);
    msgpack_sbuffer bytes;
    pack(&before, &bytes);
    assert_int_equal(unpack(bytes.data, bytes.size, &after), 0);
    assert_string_equal(after.name, "vm-1");
    assert_int_equal(after.outcome, RECORD_POLICY);
    assert_string_equal(after.syscall, "ptrace");
    assert_int_equal(after.error.length, 4);
    assert_memory_equal(after.error.bytes, "a\0b\xff", 4);
    assert_null(after.traceback.bytes);
    assert_true(after.wall_us == UINT64_MAX);
    assert_true(after.memory_peak == 1ull << 40);
    assert_string_equal(after.limits[RECORD_LIMIT_MEMORY].enforced_by, "cgroup-v2, allocator");
    msgpack_sbuffer_destroy(&bytes);
    record_fini(&before);
    record_fini(&after);
}

/* Cut at any byte, it is refused: never half a record. */
static void test_truncated(void **state)
{
    (void)state;
    struct record before = {0};
    fill(&before);
    msgpack_sbuffer bytes;
    pack(&before, &bytes);
    for (size_t length = 0; length < bytes.size; length++) {
        char *copy = malloc(length + 1);
        memcpy(copy, bytes.data, length);
        struct record after = {0};
        assert_int_equal(unpack(copy, length, &after), -EBADMSG);
        record_fini(&after);
        free(copy);
    }
    msgpack_sbuffer_destroy(&bytes);
    record_fini(&before);
}

static void test_out_of_range(void **state)
{
    (void)state;
    struct record before = {0}, after = {0};
    fill(&before);
    before.outcome = RECORD_OUTCOME_COUNT;
    msgpack_sbuffer bytes;
    pack(&before, &bytes);
    assert_int_equal(unpack(bytes.data, bytes.size, &after), -EBADMSG);
    msgpack_sbuffer_destroy(&bytes);
    record_fini(&before);
    record_fini(&after);
}

static void test_outcome_names(void **state)
{
    (void)state;
    static const char *const names[RECORD_OUTCOME_COUNT] = {"ok", "error", "syntax", "exit", "timeout", "cpu", "memory",
                                                            "output", "policy", "crash", "killed", "internal",
                                                            "stopped"};
    for (int i = 0; i < RECORD_OUTCOME_COUNT; i++)
        assert_string_equal(bioxen_outcome_name((enum bioxen_outcome)i), names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_outcome_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
