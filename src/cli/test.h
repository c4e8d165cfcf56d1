/*
 * test.h - the parts of `bioxen test`: finding test files, running each in a VM of its own, telling what came of it.
 */
#ifndef BX_CLI_TEST_H
#define BX_CLI_TEST_H

#include "run.h"

enum test_state { TEST_WAITS, TEST_STARTING, TEST_RUNS, TEST_PASSED, TEST_FAILED, TEST_NOT_RUN };

/* What a test printed last; of more, only the end is kept. */
#define TEST_OUTPUT_MAX (64u * 1024u)

struct test {
    char *path;
    enum test_state state;
    struct run_request request;
    uint32_t id; /* of the create request, then the VM's number */
    char *output;
    size_t output_length;
    bool output_cut;
    enum bioxen_outcome outcome; /* FAILED and PASSED */
    int exit_code;
    uint64_t wall_us;
    char *why; /* how it ended, as `bioxen run` would say it; NULL when there is nothing to say */
};

struct tests {
    struct test *list;
    size_t count, room;
    size_t told; /* of how many the result was printed: in their order */
    size_t passed, failed;
    bool host_failed; /* at least one could not be run at all */
};

/* Adds the test files of a path: the file itself, or all *_test.lua of a directory and those below. CLI_OK, or an exit
 * status after a message. */
int tests_find(struct tests *tests, const char *path);

/* Sorted, each once. */
void tests_sort(struct tests *tests);
void tests_fini(struct tests *tests);

/* Runs them, `jobs` at a time, with the options of `options`; prints each result. Returns the exit status. */
int tests_run(struct tests *tests, const struct run_request *options, unsigned jobs);

/* ---- results (test_report.c) ---- */

/* Both return 0, or -1 when it cannot be written, with errno. */
int tests_print_plan(const struct tests *tests);
/* Prints the results that are known now, in order. */
int tests_print_new(struct tests *tests);

/* All of it as JUnit's XML: malloc'd; NULL without memory. */
char *tests_junit(const struct tests *tests);

#endif
