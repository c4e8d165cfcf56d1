/*
 * gen_filters.c - a build-time tool: compiles the rows of profiles.def into seccomp programs and prints them
 * as C arrays (filters.h), together with the table of rows for documents and tests.
 *
 * It runs on the build machine only. So the jail itself links no libseccomp, pays nothing to compile a
 * filter, and what it installs is constant data that can be read before it is trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { R = 1, F = 2, O = 4, N = 8 };

/* A test of one argument: (argument & mask) == value, or != value. A zero mask is no test. */
struct test {
    unsigned arg;
    uint64_t mask, value;
    int differs;
};

#define TESTS_MAX 3

struct row {
    const char *name;
    int number; /* for calls that the build machine's libseccomp does not know yet, else -1 */
    unsigned profiles;
    uint32_t action;
    struct test tests[TESTS_MAX];
    const char *reason;
};

#define ARG_IS(n, v) {(n), 0xffffffffu, (uint32_t)(v), 0}
#define ARG_LACKS(n, bits) {(n), (uint32_t)(bits), 0, 0}
/* All 64 bits are compared, more than the kernel looks at: for rows that refuse only. */
#define ARG_IS_NOT(n, v) {(n), 0xffffffffu, (uint32_t)(v), 1}
#define ARG_IS_BESIDE(n, v, bits) {(n), (uint32_t)~(bits), (uint32_t)(v), 0}
#define NO_TEST {0, 0, 0, 0}

static const struct row rows[] = {
#define ALLOW(name, profiles, reason) {#name, -1, profiles, SCMP_ACT_ALLOW, {NO_TEST, NO_TEST, NO_TEST}, reason},
#define ALLOW_IF(name, profiles, test, reason) \
    {#name, -1, profiles, SCMP_ACT_ALLOW, {test, NO_TEST, NO_TEST}, reason},
#define ALLOW_IF2(name, profiles, test1, test2, reason) \
    {#name, -1, profiles, SCMP_ACT_ALLOW, {test1, test2, NO_TEST}, reason},
#define ALLOW_IF3(name, profiles, test1, test2, test3, reason) \
    {#name, -1, profiles, SCMP_ACT_ALLOW, {test1, test2, test3}, reason},
#define ANSWER(name, profiles, error, reason) \
    {#name, -1, profiles, SCMP_ACT_ERRNO(error), {NO_TEST, NO_TEST, NO_TEST}, reason},
#define ANSWER_IF(name, profiles, test, error, reason) \
    {#name, -1, profiles, SCMP_ACT_ERRNO(error), {test, NO_TEST, NO_TEST}, reason},
#define TRAP(name, number, profiles, reason) \
    {#name, number, profiles, SCMP_ACT_TRAP, {NO_TEST, NO_TEST, NO_TEST}, reason},
#include "profiles.def"
};

static const struct {
    const char *name;
    unsigned bit;
    unsigned calls_max; /* what the profile promises; the build fails when a row too many is added */
} profiles[] = {{"restricted", R, 25},
                {"full", F, 60},
                {"orchestrator", O, 40},
                {"restricted_networked", R | N, 42},
                {"full_networked", F | N, 60}};

static void die(const char *what, const char *name, int code)
{
    fprintf(stderr, "gen_filters: %s %s: %s\n", what, name, strerror(code));
    exit(1);
}

static void add_row(scmp_filter_ctx ctx, const struct row *row)
{
    int number = seccomp_syscall_resolve_name(row->name);
    if (number == __NR_SCMP_ERROR)
        number = row->number;
    if (number < 0)
        return; /* this architecture has no such call: there is nothing to reach */
    struct scmp_arg_cmp compare[TESTS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < TESTS_MAX; i++) {
        const struct test *test = &row->tests[i];
        if (test->differs)
            compare[count++] =
                (struct scmp_arg_cmp){.arg = test->arg, .op = SCMP_CMP_NE, .datum_a = (uint32_t)test->value};
        else if (test->mask != 0)
            compare[count++] = SCMP_CMP64(test->arg, SCMP_CMP_MASKED_EQ, test->mask, test->value);
    }
    int rc = seccomp_rule_add_exact_array(ctx, row->action, number, count, compare);
    if (rc < 0)
        die("row", row->name, -rc);
}

static unsigned count_calls(unsigned profile)
{
    unsigned calls = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int counts = (rows[i].profiles & profile) && rows[i].action == SCMP_ACT_ALLOW;
        for (size_t j = 0; j < i && counts; j++)
            counts = !((rows[j].profiles & profile) && strcmp(rows[j].name, rows[i].name) == 0);
        calls += (unsigned)counts;
    }
    return calls;
}

static scmp_filter_ctx build(unsigned profile, const char *name)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (ctx == NULL)
        die("cannot start", name, ENOMEM);
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A binary tree: the cost of a call does not depend on how far down it stands. */
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc != 0)
        die("attributes of", name, -rc);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].profiles & profile)
            add_row(ctx, &rows[i]);
    return ctx;
}

static void print_program(unsigned profile, const char *name)
{
    static struct sock_filter program[BPF_MAXINSNS];
    scmp_filter_ctx ctx = build(profile, name);
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
    if (rc != 0)
        die("cannot export", name, -rc);
    ssize_t length = pread(fd, program, sizeof(program), 0);
    if (length <= 0 || (size_t)length % sizeof(program[0]) != 0)
        die("cannot read back", name, errno);
    printf("static const struct sock_filter filter_%s[] = {\n", name);
    for (size_t i = 0; i < (size_t)length / sizeof(program[0]); i++)
        printf("    {0x%04x, %u, %u, 0x%08x},\n", program[i].code, program[i].jt, program[i].jf,
               program[i].k);
    printf("};\n\n");
    close(fd);
    seccomp_release(ctx);
}

/* `--table`: the rows as a Markdown table, for docs/security. */
static void print_table(void)
{
    printf("| call | profiles | answer | reason |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const char *answer = row->action == SCMP_ACT_ALLOW ? "allowed"
                             : row->action == SCMP_ACT_TRAP ? "SIGSYS"
                                                            : "an errno";
        printf("| %s | %s%s%s%s | %s%s | %s |\n", row->name, row->profiles & R ? "R" : "",
               row->profiles & F ? "F" : "", row->profiles & N ? "N" : "", row->profiles & O ? "O" : "", answer,
               row->tests[0].mask ? ", arguments checked" : "", row->reason);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        print_table();
        return 0;
    }
    printf("/* Made by gen_filters from profiles.def. */\n\n");
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        unsigned calls = count_calls(profiles[i].bit);
        if (calls > profiles[i].calls_max)
            die("too many calls are allowed in", profiles[i].name, E2BIG);
        printf("/* %s: %u calls */\n", profiles[i].name, calls);
        print_program(profiles[i].bit, profiles[i].name);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
