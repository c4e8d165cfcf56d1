/*
 * cgroup_parse.c - reads the kernel's words about cgroups: mountinfo, /proc/self/cgroup, names. Pure
 * functions: they open nothing, and take any text without reading past its end.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* mountinfo writes blanks, tabs, newlines and backslashes of a path as \ooo. */
static bool copy_unescaped(const char *from, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if (c == '\\' && i + 3 < length && is_octal(from[i + 1]) && is_octal(from[i + 2]) &&
            is_octal(from[i + 3])) {
            c = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 + (from[i + 3] - '0'));
            i += 3;
        }
        if (used + 1 >= size)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

/* The n-th blank-separated field, counted from 0. */
static const char *field(const char *line, unsigned index, size_t *length)
{
    for (; index > 0; index--) {
        line = strchr(line, ' ');
        if (line == NULL)
            return NULL;
        line++;
    }
    *length = strcspn(line, " \n");
    return line;
}

static bool list_has(const char *list, size_t length, const char *word)
{
    size_t wanted = strlen(word);
    while (length > 0) {
        size_t item = 0;
        while (item < length && list[item] != ',')
            item++;
        if (item == wanted && strncmp(list, word, wanted) == 0)
            return true;
        size_t step = item < length ? item + 1 : item;
        list += step;
        length -= step;
    }
    return false;
}

bool sb_cgroup_parse_mount(const char *line, const char *controller, struct sb_cgroup_mount *out)
{
    size_t type_length = 0, options_length = 0, root_length = 0, point_length = 0;
    const char *tail = strstr(line, " - ");
    const char *type = tail != NULL ? field(tail + 3, 0, &type_length) : NULL;
    const char *options = tail != NULL ? field(tail + 3, 2, &options_length) : NULL;
    const char *root = field(line, 3, &root_length), *point = field(line, 4, &point_length);
    if (type == NULL || options == NULL || root == NULL || point == NULL || point > tail)
        return false;
    const char *wanted = controller != NULL ? "cgroup" : "cgroup2";
    if (type_length != strlen(wanted) || strncmp(type, wanted, type_length) != 0)
        return false;
    if (controller != NULL && !list_has(options, options_length, controller))
        return false;
    return copy_unescaped(root, root_length, out->root, sizeof out->root) &&
           copy_unescaped(point, point_length, out->point, sizeof out->point);
}

bool sb_cgroup_parse_own(const char *line, const char *controller, char *path, size_t size)
{
    const char *list = strchr(line, ':');
    const char *own = list != NULL ? strchr(list + 1, ':') : NULL;
    if (own == NULL)
        return false;
    size_t list_length = (size_t)(own - list) - 1;
    bool matches = controller == NULL ? line[0] == '0' && list == line + 1 && list_length == 0
                                      : list_has(list + 1, list_length, controller);
    if (!matches || own[1] != '/')
        return false;
    size_t length = strcspn(own + 1, "\n");
    if (length >= size)
        return false;
    memcpy(path, own + 1, length);
    path[length] = '\0';
    return true;
}

bool sb_cgroup_directory(const struct sb_cgroup_mount *mount, const char *own, char *out, size_t size)
{
    size_t root = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    if (strncmp(own, mount->root, root) != 0 || (own[root] != '/' && own[root] != '\0'))
        return false;
    const char *rest = own + root;
    if (strcmp(rest, "/") == 0)
        rest = "";
    /* "/../.." is how the kernel shows a cgroup above our cgroup namespace: no path leads there. */
    if (strncmp(rest, "/..", 3) == 0 && (rest[3] == '/' || rest[3] == '\0'))
        return false;
    int length = snprintf(out, size, "%s%s", mount->point, rest);
    return length > 0 && (size_t)length < size;
}

bool sb_has_word(const char *list, const char *word)
{
    size_t wanted = strlen(word);
    while (*list != '\0') {
        size_t length = strcspn(list, " \n");
        if (length == wanted && strncmp(list, word, wanted) == 0)
            return true;
        list += length;
        list += strspn(list, " \n");
    }
    return false;
}

static const char *skip_number(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && length <= 10 ? text + length : NULL;
}

bool sb_cgroup_name_ours(const char *name)
{
    if (strncmp(name, SB_CGROUP_PREFIX, sizeof SB_CGROUP_PREFIX - 1) != 0)
        return false;
    const char *rest = skip_number(name + sizeof SB_CGROUP_PREFIX - 1);
    if (rest == NULL || *rest != '.')
        return false;
    rest = skip_number(rest + 1);
    return rest != NULL && *rest == '\0';
}
