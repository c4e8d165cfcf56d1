/* test_vm_lua.c - the Lua tests of tests/lua in a VM, in both profiles: they must pass there as under lua5.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vm_child.h"

#include <cmocka.h>
#include <glob.h>

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = 1 << 20;
    char *text = malloc(size);
    *length = fread(text, 1, size, file);
    assert_in_range(*length, 1, size - 1);
    fclose(file);
    return text;
}

static void run_everything(enum jw_profile profile)
{
    glob_t found;
    if (glob("tests/lua/*_test.lua", 0, NULL, &found) != 0) {
        print_message("SKIP: tests/lua is not below the working directory\n");
        skip();
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t length;
        char *text = read_file(found.gl_pathv[i], &length), chunk[300];
        snprintf(chunk, sizeof chunk, "@%s", found.gl_pathv[i]);
        struct child_result *r = child_run(&(struct child_input){
            .profile = profile, .text = text, .length = length, .chunk = chunk, .ceiling = (size_t)256 << 20});
        if (!r->done || r->last.a != LW_OK || strcmp(r->out, "ok\n") != 0)
            fail_msg("%s: %s\n%s\n%s%s", found.gl_pathv[i], r->message, r->traceback, r->out, r->err);
        free(text);
    }
    globfree(&found);
}

static void test_restricted(void **state)
{
    (void)state;
    run_everything(JW_RESTRICTED);
}

static void test_full(void **state)
{
    (void)state;
    run_everything(JW_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_restricted), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
