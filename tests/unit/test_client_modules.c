/* test_client_modules.c - the modules that a restricted script may require: which names, which files, whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/module_dir.h"
#include "client/modules.h"

static char place[] = "/tmp/bxmodules-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(place, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *path; /* NULL: refused */
    } rows[] = {
        {"a", "a"},     {"a.b.c", "a/b/c"}, {"A-b_9.z", "A-b_9/z"}, {"", NULL},
        {".", NULL},    {"a.", NULL},       {".a", NULL},           {"a..b", NULL},
        {"../a", NULL}, {"/etc", NULL},     {"a/b", NULL},          {"a b", NULL},
        {"a\\b", NULL}, {"\xc3\xa9", NULL}, {"a;b", NULL},          {"?", NULL},
    };
    char path[MODULE_NAME_MAX + 1];
    static char longest[MODULE_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = module_path((struct bioxen_string){rows[i].name, strlen(rows[i].name)}, path);
        assert_int_equal(rc, rows[i].path != NULL ? (int)strlen(rows[i].path) : -1);
        if (rows[i].path != NULL)
            assert_string_equal(path, rows[i].path);
    }
    assert_int_equal(module_path((struct bioxen_string){"a\0b", 3}, path), -1);
    memset(longest, 'm', sizeof longest);
    assert_int_equal(module_path((struct bioxen_string){longest, MODULE_NAME_MAX}, path),
                     MODULE_NAME_MAX);
    assert_int_equal(module_path((struct bioxen_string){longest, MODULE_NAME_MAX + 1}, path), -1);
}

static void expect_found(struct module_dir *dir, const char *name, const char *chunk, const char *text)
{
    struct module module;
    char *why;
    assert_int_equal(module_find(dir, (struct bioxen_string){name, strlen(name)}, &module, &why), 0);
    assert_string_equal(module.chunk, chunk);
    assert_int_equal(module.length, strlen(text));
    assert_memory_equal(module.text, text, module.length);
    free(module.chunk);
    free(module.text);
}

static void expect_missing(struct module_dir *dir, const char *name, const char *word)
{
    struct module module;
    char *why;
    assert_int_equal(module_find(dir, (struct bioxen_string){name, strlen(name)}, &module, &why),
                     -1);
    assert_non_null(why);
    assert_memory_equal(why, "\n\t", 2);
    if (strstr(why, word) == NULL)
        fail_msg("no '%s' in: %s", word, why);
    free(why);
}

static void test_a_directory(void **state)
{
    (void)state;
    assert_int_equal(mkdir("app", 0755), 0);
    assert_int_equal(mkdir("app/pkg", 0755), 0);
    assert_int_equal(mkdir("app/folder.lua", 0755), 0);
    put("app/m.lua", "return 1");
    put("app/pkg/init.lua", "return 2");
    put("app/pkg/sub.lua", "");
    put("secret.lua", "secret");
    put("app/huge.lua", "");
    assert_int_equal(truncate("app/huge.lua", 1 << 30), 0);
    assert_int_equal(mkfifo("app/fifo.lua", 0644), 0);
    assert_int_equal(symlink("m.lua", "app/alias.lua"), 0);
    assert_int_equal(symlink("../secret.lua", "app/out.lua"), 0);
    assert_int_equal(symlink("..", "app/up"), 0);
    assert_int_equal(symlink("/dev/zero", "app/zero.lua"), 0);
    struct module_dir dir = {.fd = open("app", O_PATH | O_DIRECTORY | O_CLOEXEC), .name = (char *)"app"};
    expect_found(&dir, "m", "@app/m.lua", "return 1");
    expect_found(&dir, "pkg", "@app/pkg/init.lua", "return 2");
    expect_found(&dir, "pkg.sub", "@app/pkg/sub.lua", "");
    expect_found(&dir, "alias", "@app/alias.lua", "return 1");
    expect_missing(&dir, "gone.x", "no file 'app/gone/x.lua'\n\tno file 'app/gone/x/init.lua'");
    expect_missing(&dir, "out", "leads out");
    expect_missing(&dir, "up.secret", "leads out");
    expect_missing(&dir, "zero", "leads out");
    expect_missing(&dir, "folder", "not a regular file");
    expect_missing(&dir, "fifo", "not a regular file");
    expect_missing(&dir, "huge", "over 64 MiB");
    expect_missing(&dir, "../secret", "the name must be");
    dir.asked = 10000; /* a script cannot ask for ever */
    expect_missing(&dir, "m", "more than 10000");
    close(dir.fd);
}

/* From the request to the death: each directory is a copy, found by its VM's number, and closed once. */
static void test_whose_directory(void **state)
{
    (void)state;
    struct modules modules;
    struct bioxen_config config;
    struct bx_error err;
    bioxen_config_init(&config);
    modules_init(&modules);
    assert_int_equal(modules_add(&modules, &config, 1, &err), 0); /* none */
    modules_created(&modules, 1, 7);
    assert_null(modules_of(&modules, 7));
    config.module_dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t id = 1; id <= 1000; id++)
        assert_int_equal(modules_add(&modules, &config, id, &err), 0);
    close(config.module_dir);
    assert_int_equal(modules_add(&modules, &config, 1001, &err), -EBADF);
    for (uint32_t id = 1; id <= 500; id++)
        modules_created(&modules, id, id + 100);
    for (uint32_t id = 501; id <= 900; id++)
        modules_refused(&modules, id);
    struct module_dir *dir = modules_of(&modules, 101);
    assert_non_null(dir);
    assert_string_equal(dir->name, ".");
    assert_null(modules_of(&modules, 100)); /* a request, not a VM */
    assert_null(modules_of(&modules, 700)); /* refused */
    modules_died(&modules, 101);
    modules_died(&modules, 101);
    assert_null(modules_of(&modules, 101));
    modules_fini(&modules);
    int next = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(next < 16); /* nothing is left open */
    close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_directory),
        cmocka_unit_test(test_whose_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
