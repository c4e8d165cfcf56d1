/*
 * test_find.c - which files are tests. A file that is named is one, whatever it is called. Symbolic links to
 * directories are not followed, so that a search always ends, and what begins with a dot is left alone.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test.h"

/* No tree of sources is as deep; a search that goes on for ever is. */
#define DEPTH_MAX 64

static int out_of_memory(void)
{
    cli_say("out of memory");
    return CLI_HOST;
}

/* Takes the path. */
static int add(struct tests *tests, char *path)
{
    if (tests->count == tests->room) {
        size_t room = 2 * tests->room + 16;
        struct test *list = reallocarray(tests->list, room, sizeof *list);
        if (list == NULL) {
            free(path);
            return out_of_memory();
        }
        tests->list = list;
        tests->room = room;
    }
    tests->list[tests->count++] = (struct test){.path = path};
    return CLI_OK;
}

static bool is_test_name(const char *name)
{
    static const char end[] = "_test.lua";
    size_t length = strlen(name);
    return length >= sizeof end - 1 && strcmp(name + length - (sizeof end - 1), end) == 0;
}

static int fail(const char *path)
{
    int status = errno == ENOENT || errno == ENOTDIR ? CLI_NOT_FOUND : CLI_UNREADABLE;
    cli_say("test: cannot look at '%s': %s", path, strerror(errno));
    return status;
}

static int search(struct tests *tests, const char *directory, unsigned depth);

/* Takes the path. */
static int look_at(struct tests *tests, char *path, const char *name, unsigned depth)
{
    struct stat st;
    int status = CLI_OK;
    if (lstat(path, &st) != 0) {
        status = fail(path);
    } else if (S_ISDIR(st.st_mode)) {
        status = search(tests, path, depth + 1);
    } else if (is_test_name(name) && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        return add(tests, path);
    }
    free(path);
    return status;
}

static int search(struct tests *tests, const char *directory, unsigned depth)
{
    struct dirent *entry;
    int status = CLI_OK;
    if (depth > DEPTH_MAX) {
        cli_say("test: '%s' is too deep: at most %d directories are searched", directory, DEPTH_MAX);
        return CLI_UNREADABLE;
    }
    DIR *open = opendir(directory);
    if (open == NULL)
        return fail(directory);
    const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    while (status == CLI_OK && (entry = readdir(open)) != NULL) {
        char *path;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&path, "%s%s%s", directory, slash, entry->d_name) < 0)
            status = out_of_memory();
        else
            status = look_at(tests, path, entry->d_name, depth);
    }
    closedir(open);
    return status;
}

int tests_find(struct tests *tests, const char *path)
{
    struct stat st;
    if (path[0] == '\0' || stat(path, &st) != 0) {
        errno = path[0] == '\0' ? ENOENT : errno;
        return fail(path);
    }
    if (S_ISDIR(st.st_mode))
        return search(tests, path, 0);
    char *copy = strdup(path);
    return copy != NULL ? add(tests, copy) : out_of_memory();
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct test *)a)->path, ((const struct test *)b)->path);
}

void tests_sort(struct tests *tests)
{
    size_t kept = 0;
    if (tests->count > 0)
        qsort(tests->list, tests->count, sizeof *tests->list, compare);
    for (size_t i = 0; i < tests->count; i++) {
        if (kept > 0 && strcmp(tests->list[kept - 1].path, tests->list[i].path) == 0)
            free(tests->list[i].path);
        else
            tests->list[kept++] = tests->list[i];
    }
    tests->count = kept;
}

void tests_fini(struct tests *tests)
{
    for (size_t i = 0; i < tests->count; i++) {
        struct test *test = &tests->list[i];
        free(test->request.chunk);
        free(test->request.args);
        free(test->path);
        free(test->output);
        free(test->why);
    }
    free(tests->list);
}
