/*
 * seeds.c - writes one well-formed input for each kind of message, by the encoders themselves, for the fuzz
 * targets to start from: seeds DIRECTORY makes DIRECTORY/<target>/seed-<n>.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/check_wire.h"
#include "common/control.h"
#include "common/doctor_wire.h"
#include "common/jail_wire.h"
#include "common/lifeline.h"
#include "common/program.h"
#include "common/record.h"
#include "common/session_wire.h"
#include "common/values.h"
#include "common/vm_spec.h"

static const char *directory;

static void save(const char *target, int number, const void *bytes, size_t length)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/seed-%d", directory, target, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* fuzz_jail_wire takes the number of descriptors from the first byte. */
static void save_request(int number, const struct jw_request *request, unsigned char fds)
{
    char bytes[1 + sizeof *request];
    bytes[0] = (char)fds;
    memcpy(bytes + 1, request, sizeof *request);
    save("fuzz_jail_wire", number, bytes, sizeof bytes);
}

static void save_reply(int number, const struct jw_reply *reply)
{
    char bytes[1 + sizeof *reply] = {0};
    memcpy(bytes + 1, reply, sizeof *reply);
    save("fuzz_jail_wire", number, bytes, sizeof bytes);
}

static void jail_wire(void)
{
    struct jw_request spawn = {.magic = JW_MAGIC, .type = JW_SPAWN, .vm = 1};
    spawn.spawn = (struct jw_spawn){.memory_bytes = BX_DEFAULT_MEMORY, .pids = BX_DEFAULT_PIDS,
                                    .cpus_milli = BX_DEFAULT_CPUS_MILLI, .hostname = "seed"};
    save_request(1, &spawn, 3);
    spawn.spawn.profile = JW_FULL;
    spawn.spawn.tmp_bytes = BX_DEFAULT_TMP_BYTES;
    spawn.spawn.tmp_inodes = BX_DEFAULT_TMP_INODES;
    spawn.spawn.mount_count = 2;
    strcpy(spawn.spawn.mounts[0].target, "/app");
    strcpy(spawn.spawn.mounts[1].target, "/data/in");
    spawn.spawn.mounts[1].writable = 1;
    save_request(2, &spawn, 5);
    struct jw_request kill = {.magic = JW_MAGIC, .type = JW_KILL, .vm = 1};
    save_request(3, &kill, 0);
    struct jw_request stats = {.magic = JW_MAGIC, .type = JW_STATS, .vm = 1};
    save_request(6, &stats, 0);
    struct jw_reply statistics = {.magic = JW_MAGIC, .type = JW_STATISTICS, .vm = 1, .u.statistics = {1, 2, 3}};
    save_reply(7, &statistics);
    struct jw_request attach = {.magic = JW_MAGIC, .type = JW_ATTACH, .vm = 1, .tag = 1, .attach.group = 1};
    save_request(8, &attach, 0);
    struct jw_request wires = {.magic = JW_MAGIC, .type = JW_WIRES, .tag = 1};
    wires.wires.count = 1;
    wires.wires.wires[0] = (struct jw_wire){1, 2, 80, JW_TCP, 1};
    save_request(9, &wires, 0);
    struct jw_request shape = {.magic = JW_MAGIC, .type = JW_SHAPE, .tag = 1};
    shape.shape = (struct jw_shape){.from = 1, .to = 2, .rate = 1000000, .delay_us = 1000, .loss_ppm = 10000};
    save_request(10, &shape, 0);
    struct jw_reply failed = {.magic = JW_MAGIC, .type = JW_FAILED, .vm = 1};
    failed.u.failed = (struct jw_failed){.code = 12, .text = "no memory"};
    save_reply(4, &failed);
    struct jw_reply death = {.magic = JW_MAGIC, .type = JW_DEATH, .vm = 1};
    death.u.death = (struct jw_death){.wait_code = 2, .wait_status = 9, .cpu_us = 1, .memory_peak = 2};
    save_reply(5, &death);
}

static void lifeline(void)
{
    static char bytes[LW_FRAME_MAX];
    struct lw_frame done = {.type = LW_DONE, .a = LW_ERROR, .b = 1, .text1 = "boom", .length1 = 4,
                            .text2 = "stack traceback:", .length2 = 16};
    save("fuzz_lifeline", 1, bytes, lw_encode(&done, bytes));
    struct lw_frame fatal = {.type = LW_FATAL, .a = 31, .b = 101, .text1 = "", .text2 = ""};
    save("fuzz_lifeline", 2, bytes, lw_encode(&fatal, bytes));
}

static void program(void)
{
    char *bytes = NULL;
    size_t length = 0;
    struct program_string args[] = {{"a.lua", 5}, {"x\0y", 3}}, env[] = {{"NAME", 4}, {"value", 5}};
    struct program seed = {{"@a.lua", 6}, args, 2, env, 1};
    if (program_encode(&seed, 0, &bytes, &length, NULL) != 0)
        exit(1);
    save("fuzz_program", 1, bytes, length);
    save("fuzz_program", 2, bytes + sizeof(struct program_header), length - sizeof(struct program_header));
    free(bytes);
}

static void control(void)
{
    static char message[BX_FRAME_MAX];
    struct ctl_note note = {.vm = 1, .number = 2, .text = "no such module", .length = 14};
    size_t length = ctl_encode_note(CTL_ERROR, 3, &note, message);
    save("fuzz_control", 1, message, length);
    save("fuzz_control", 2, message + sizeof(struct ctl_head), length - sizeof(struct ctl_head));
    struct ctl_interrupt interrupt = {1, 2, 3, CTL_BY_TIMEOUT, 500};
    save("fuzz_control", 3, &interrupt, sizeof interrupt);
    struct ctl_statistics statistics = {.vm = 1, .memory = 4096};
    save("fuzz_control", 4, &statistics, sizeof statistics);
}

/* fuzz_reply takes the size of the pieces from the first byte. */
static void answers(void)
{
    static const char output[] = "printed\n", error[] = "\x02\0\0\0\x05\0\0\0notrace\x91\xc0",
                      values[] = "\x94\xc0\x2a\xa1x\xd6\x01\0\0\0\0\x81\xa1k\xd6\x01\0\0\0\0";
    const struct sw_head heads[] = {
        {.length = sizeof output - 1, .type = SW_OUTPUT, .kind = 1, .call = 1},
        {.length = sizeof values - 1, .type = SW_RESULT, .call = 1},
        {.length = sizeof error - 1, .type = SW_ERROR, .kind = SW_FAILED, .call = 2},
    };
    const char *const bodies[] = {output, values, error};
    char bytes[256] = {(char)255}, *to = bytes + 1;
    for (unsigned i = 0; i < 3; i++) {
        memcpy(to, &heads[i], sizeof heads[i]);
        memcpy(to + sizeof heads[i], bodies[i], heads[i].length);
        to += sizeof heads[i] + heads[i].length;
    }
    save("fuzz_reply", 1, bytes, (size_t)(to - bytes));
    bytes[0] = 0;
    save("fuzz_reply", 2, bytes, (size_t)(to - bytes));
}

/* A hello and two messages; and what a receiver says. */
static void mail(void)
{
    static const char sender[] = "\x10\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0BXM1\0\0\0\0\x01\0\0\0\0\0\0\0"
                                 "\x02\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\x91\xc0"
                                 "\x09\0\0\0\x02\0\0\0\x02\0\0\0\0\0\0\0\x91\xd6\x01\0\0\0\0\x91\x05";
    static const char receiver[] = "\0\0\0\0\x03\0\0\0\x02\0\0\0\0\0\0\0";
    save("fuzz_mail", 1, sender, sizeof sender - 1);
    save("fuzz_mail", 2, receiver, sizeof receiver - 1);
}

static void doctor(void)
{
    struct doctor_record finding = {.magic = DOCTOR_MAGIC, .type = DOCTOR_FINDING, .status = DOCTOR_MISSING,
                                    .id = "cgroup", .title = "Control groups", .cause = "none", .fix = "mount"};
    save("fuzz_doctor", 1, &finding, sizeof finding);
}

static void record(void)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    struct record death = {.name = "seed", .outcome = RECORD_POLICY, .exit_code = 159, .signal = 31,
                           .syscall = "ptrace"};
    static struct vm_spec spec = {.name = "seed", .profile = JW_FULL, .memory = BX_DEFAULT_MEMORY, .cpus_milli = 500,
                                  .pids = 16, .output_limit = 1, .mount_count = 1, .mounts = {{"/app", 0}}};
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    bx_text_set(&death.error, "refused", 7);
    record_pack(&packer, &death);
    save("fuzz_record", 1, buffer.data, buffer.size);
    msgpack_sbuffer_clear(&buffer);
    vm_spec_pack(&packer, &spec);
    save("fuzz_record", 2, buffer.data, buffer.size);
    record_fini(&death);
    msgpack_sbuffer_destroy(&buffer);
}

/* Two tables, one of them cyclic, and a value of each type. */
static void write_values(struct bx_values *out)
{
    bx_values_list(out, 7);
    bx_values_nil(out);
    bx_values_boolean(out, 1);
    bx_values_integer(out, -40000);
    bx_values_number(out, 0.5);
    bx_values_string(out, "text", 4);
    bx_values_table(out, 0);
    bx_values_table(out, 1);
    bx_values_list(out, 2);
    bx_values_table(out, 0);
    bx_values_integer(out, INT64_MAX);
    bx_values_map(out, 2);
    bx_values_string(out, "key", 3);
    bx_values_table(out, 0);
    bx_values_number(out, 1.5);
    bx_values_boolean(out, 0);
}

static void values(void)
{
    struct bx_values seed;
    bx_values_init(&seed, 4096, NULL, NULL);
    bx_values_list(&seed, 0);
    save("fuzz_values", 1, seed.bytes, seed.length);
    bx_values_clear(&seed);
    write_values(&seed);
    save("fuzz_values", 2, seed.bytes, seed.length);
    bx_values_fini(&seed);
}

/* A session of some requests: each line is one, "!name" a call by name. All have the same arguments. */
static void session(void)
{
    static const char *const texts[] = {"return ...", "print(...) return {...}", "error({...})", "x =", "!math.max",
                                        "return {{}, {a = print}}", "!no.such", "while true do pcall(error) end"};
    struct bx_values bytes, with;
    bx_values_init(&bytes, 1 << 16, NULL, NULL);
    bx_values_init(&with, 4096, NULL, NULL);
    write_values(&with);
    for (uint64_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int is_call = *texts[i] == '!';
        const char *text = texts[i] + is_call;
        uint32_t length = (uint32_t)strlen(text);
        struct sw_head head = {.length = length + (uint32_t)with.length, .type = is_call ? SW_CALL : SW_EXECUTE,
                               .call = i + 1, .name_length = length};
        memcpy(bx_values_room(&bytes, sizeof head), &head, sizeof head);
        memcpy(bx_values_room(&bytes, length), text, length);
        memcpy(bx_values_room(&bytes, with.length), with.bytes, with.length);
        if (i == 0)
            save("fuzz_session", 1, bytes.bytes, bytes.length);
    }
    save("fuzz_session", 2, bytes.bytes, bytes.length);
    bx_values_fini(&with);
    bx_values_fini(&bytes);
}

static const char *const topologies[] = {
    "version: 1\nname: chat\ndefaults: {memory: 32MiB, restart: on-failure}\nvms:\n  echo: {code: return, "
    "server: 8080}\n"
    "  caller: {code: return, client: echo, replicas: 3, depends_on: [echo]}\n"
    "  alice: {code: return, p2p: {port: 9000, peers: [bob]}}\n  bob: {script: p.lua, p2p: {port: 9000, peers: "
    "[alice]}}\n"
    "wires:\n  - {from: caller, to: echo, port: 8080, delay: 20ms, jitter: 5ms, loss: 1%, rate: 10mbit}\n",
    "version: 1\nvms:\n  a:\n    code: |\n      print('${A}')\n    restart: {policy: always, delay: 1s, max: 3, "
    "within: 1m}\n"
    "    health: {check: x, every: 1s}\n    mount: /a:/b\n    profile: full\n    publish: '127.0.0.1:80:80'\n   "
    " env: {A: $$}\n"
    "  b: {code: x, depends_on: {a: healthy}, memory: '${B:-4M}', network: none}\ngroups: {g: {vms: [a, b], "
    "strategy: one_for_all}}\n",
    "version: 1\nvms: {a: &x {code: !!str *y, retsart: 1}, a: [}\n",
    "? [a]\n: - - - b\n\"\\x41\": >-\n  c\n---\n",
};

static void topology(void)
{
    for (int i = 0; i < (int)(sizeof topologies / sizeof *topologies); i++) {
        static char bytes[4096];
        struct check_header header = {CHECK_MAGIC, 4, (uint32_t)strlen(topologies[i]), 1};
        memcpy(bytes, &header, sizeof header);
        memcpy(bytes + sizeof header, "A=1", 4);
        memcpy(bytes + sizeof header + 4, topologies[i], header.text);
        save("fuzz_topology", 2 * i + 1, bytes, sizeof header + 4 + header.text);
        save("fuzz_topology", 2 * i + 2, topologies[i], header.text);
    }
    /* {"topology": {"vms": [{"name": "a"}], "n": 7}} */
    static const char answer[] = "\x81\xa8topology\x82\xa3vms\x91\x81\xa4name\xa1" "a\xa1n\x07";
    save("fuzz_answer", 1, answer, sizeof answer - 1);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    jail_wire();
    lifeline();
    program();
    control();
    doctor();
    answers();
    mail();
    record();
    values();
    session();
    topology();
    return 0;
}
