/* test_control.c - heads and notes of the control socket, and the create request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/codec.h"
#include "common/control.h"
#include "common/jail_wire.h"
#include "common/names.h"
#include "common/vm_spec.h"

static void test_note_round_trip(void **state)
{
    (void)state;
    static char frame[BX_FRAME_MAX];
    struct ctl_note before = {.vm = 7, .number = 15, .text = "a\0b", .length = 3}, after;
    size_t length = ctl_encode_note(CTL_KILL, 9, &before, frame);
    struct ctl_head head;
    const char *body;
    assert_true(length > 0);
    assert_int_equal(ctl_decode_head(frame, length, &head, &body), 0);
    assert_int_equal(head.type, CTL_KILL);
    assert_int_equal(head.id, 9);
    assert_int_equal(ctl_decode_note(body, head.length, &after), 0);
    assert_int_equal(after.vm, 7);
    assert_int_equal(after.number, 15);
    assert_int_equal(after.length, 3);
    assert_memory_equal(after.text, "a\0b", 3);
}

static void test_note_too_long(void **state)
{
    (void)state;
    static char frame[BX_FRAME_MAX], text[BX_FRAME_MAX];
    struct ctl_note note = {.text = text, .length = sizeof text};
    assert_int_equal(ctl_encode_note(CTL_ERROR, 1, &note, frame), 0);
}

static void test_head_must_agree(void **state)
{
    (void)state;
    struct ctl_head head = {CTL_MAGIC, CTL_KILL, 1, 4}, out;
    char frame[sizeof head + 4] = {0};
    const char *body;
    memcpy(frame, &head, sizeof head);
    assert_int_equal(ctl_decode_head(frame, sizeof frame, &out, &body), 0);
    assert_int_equal(ctl_decode_head(frame, sizeof frame - 1, &out, &body), -EBADMSG);
    assert_int_equal(ctl_decode_head(frame, 3, &out, &body), -EBADMSG);
    frame[0] ^= 1;
    assert_int_equal(ctl_decode_head(frame, sizeof frame, &out, &body), -EBADMSG);
}

static struct vm_spec good_spec(void)
{
    struct vm_spec spec = {
        .name = "a.b-c_1",
        .profile = JW_FULL,
        .memory = BX_DEFAULT_MEMORY,
        .cpus_milli = 500,
        .pids = 16,
        .timeout_ms = 5000,
        .output_limit = 1,
        .required = JW_LIMIT_CPUS,
        .mount_count = 2,
    };
    strcpy(spec.mounts[0].target, "/app");
    strcpy(spec.mounts[1].target, "/data/in");
    spec.mounts[1].writable = 1;
    return spec;
}

static void pack_spec(const struct vm_spec *spec, msgpack_sbuffer *out)
{
    msgpack_packer packer;
    msgpack_sbuffer_init(out);
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    vm_spec_pack(&packer, spec);
}

static void test_spec_round_trip(void **state)
{
    (void)state;
    struct vm_spec before = good_spec(), after;
    msgpack_sbuffer bytes;
    pack_spec(&before, &bytes);
    msgpack_unpacked unpacked;
    assert_int_equal(bx_unpack(&unpacked, bytes.data, bytes.size), 0);
    assert_int_equal(vm_spec_unpack(&unpacked.data, &after), 0);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(vm_spec_check(&after, NULL), 0);
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&bytes);
}

static void test_spec_trailing_bytes(void **state)
{
    (void)state;
    struct vm_spec spec = good_spec();
    msgpack_sbuffer bytes;
    pack_spec(&spec, &bytes);
    msgpack_sbuffer_write(&bytes, "\xc0", 1);
    msgpack_unpacked unpacked;
    assert_int_equal(bx_unpack(&unpacked, bytes.data, bytes.size), -EBADMSG);
    msgpack_sbuffer_destroy(&bytes);
}

/* Each rule broken in turn; the message names the field. */
static void test_spec_rules(void **state)
{
    (void)state;
    struct bx_error err = {0};
    struct vm_spec spec = good_spec();
    spec.memory = BX_MEMORY_MIN - 1;
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "memory"));
    spec = good_spec();
    spec.cpus_milli = 9;
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "cpus"));
    spec = good_spec();
    spec.pids = 0;
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "pids"));
    spec = good_spec();
    spec.timeout_ms = UINT64_MAX;
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "timeout"));
    spec = good_spec();
    spec.profile = JW_RESTRICTED;
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "full"));
    spec = good_spec();
    strcpy(spec.mounts[1].target, "/app");
    assert_int_equal(vm_spec_check(&spec, &err), -EINVAL);
    assert_non_null(strstr(err.text, "/app"));
}

static void test_names(void **state)
{
    (void)state;
    char long_name[BX_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_false(bx_name_sound(long_name));
    assert_true(bx_name_sound(long_name + 1));
    static const char *const bad[] = {"", "-a", ".a", "a b", "a/b", "\xc3\xa4", "a\n"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bx_name_sound(bad[i]));
}

static void test_mount_targets(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "/",   "app",   "/app/",  "//app", "/a//b",
                                      "/.", "/..", "/a/..", "/a/./b", "/../a"};
    static const char *const good[] = {"/app", "/a/b", "/...", "/.hidden", "/a/..b"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(bx_target_sound(bad[i]));
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(bx_target_sound(good[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_note_round_trip), cmocka_unit_test(test_note_too_long),
        cmocka_unit_test(test_head_must_agree), cmocka_unit_test(test_spec_round_trip),
        cmocka_unit_test(test_spec_trailing_bytes), cmocka_unit_test(test_spec_rules),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_mount_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
