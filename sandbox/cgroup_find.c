/*
 * cgroup_find.c - where may cgroups be made? Once, at the start.
 *
 * Nearly everywhere the hierarchies are mounted at their usual places, and a look there is much cheaper than
 * reading all mounts of the host; where they are not, mountinfo tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"

/* The controllers, and behind them the unified hierarchy, which has no name. */
enum { UNIFIED = SB_CONTROLLERS, HIERARCHIES };

static const char *const names[HIERARCHIES] = {
    [SB_MEMORY] = "memory",
    [SB_PIDS] = "pids",
    [SB_CPU] = "cpu",
    [UNIFIED] = NULL,
};

/*
 * For each hierarchy: the path of our own cgroup in it, and the directory in which that shows; empty when
 * unknown.
 */
struct places {
    char own[HIERARCHIES][SB_CGROUP_PATH_MAX];
    char directory[HIERARCHIES][SB_CGROUP_PATH_MAX];
    char unified_point[SB_CGROUP_PATH_MAX];
    struct sb_cgroup_mount mount; /* the one that is looked at */
    char text[4 * SB_CGROUP_PATH_MAX];
};

static void read_own(int proc_fd, struct places *places)
{
    if (sb_read_at(proc_fd, "self/cgroup", places->text, sizeof places->text) <= 0)
        return;
    for (const char *line = places->text; line != NULL && *line != '\0'; line += line != NULL) {
        for (int i = 0; i < HIERARCHIES; i++)
            sb_cgroup_parse_own(line, names[i], places->own[i], SB_CGROUP_PATH_MAX);
        line = strchr(line, '\n');
    }
}

static bool is_there(const char *path, long magic)
{
    struct statfs status;
    return statfs(path, &status) == 0 && (long)status.f_type == magic;
}

static bool guess(struct places *places, int index, const char *point, long magic)
{
    struct sb_cgroup_mount *mount = &places->mount;
    char *path = places->directory[index];
    strcpy(mount->root, "/");
    snprintf(mount->point, sizeof mount->point, "%s", point);
    if (sb_cgroup_directory(mount, places->own[index], path, SB_CGROUP_PATH_MAX) && is_there(path, magic))
        return true;
    path[0] = '\0';
    return false;
}

static bool guess_unified(struct places *places)
{
    static const char *const points[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        if (is_there(points[i], CGROUP2_SUPER_MAGIC) &&
            guess(places, UNIFIED, points[i], CGROUP2_SUPER_MAGIC)) {
            snprintf(places->unified_point, SB_CGROUP_PATH_MAX, "%s", points[i]);
            return true;
        }
    }
    return false;
}

static bool guess_all(struct places *places)
{
    bool all = true;
    for (int i = 0; i < UNIFIED; i++) {
        char point[40];
        snprintf(point, sizeof point, "/sys/fs/cgroup/%s", names[i]);
        if (places->own[i][0] != '\0')
            all = guess(places, i, point, CGROUP_SUPER_MAGIC) && all;
    }
    /*
     * A controller is in one hierarchy only: with the memory controller in v1, the unified one is not asked.
     */
    if (places->own[SB_MEMORY][0] == '\0' && places->own[UNIFIED][0] != '\0')
        all = guess_unified(places) && all;
    return all;
}

static void read_mount(const char *line, struct places *places)
{
    struct sb_cgroup_mount *mount = &places->mount;
    for (int i = 0; i < HIERARCHIES; i++) {
        char *directory = places->directory[i];
        if (directory[0] != '\0' || places->own[i][0] == '\0' ||
            !sb_cgroup_parse_mount(line, names[i], mount))
            continue;
        if (!sb_cgroup_directory(mount, places->own[i], directory, SB_CGROUP_PATH_MAX))
            directory[0] = '\0';
        else if (i == UNIFIED)
            memcpy(places->unified_point, mount->point, sizeof mount->point);
    }
}

static void read_mounts(int proc_fd, struct places *places)
{
    int fd = openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    while (file != NULL && getline(&line, &size, file) > 0)
        if (strstr(line, " - cgroup") != NULL)
            read_mount(line, places);
    free(line);
    if (file != NULL)
        fclose(file);
    else
        sb_close(&fd);
}

static void use_v1(struct sb_cgroup_host *host, const struct places *places)
{
    for (int i = 0; i < UNIFIED; i++) {
        const char *path = places->directory[i];
        struct stat status;
        if (path[0] == '\0' || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
            continue;
        host->base[i] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (host->base[i] >= 0 && fstat(host->base[i], &status) == 0) {
            host->device[i] = status.st_dev;
            host->ops = &sb_cgroup_v1;
        }
    }
}

static void use_v2(struct sb_cgroup_host *host, struct places *places)
{
    bool found[SB_CONTROLLERS] = {false};
    char *path = places->directory[UNIFIED];
    int fd = path[0] != '\0' ? sb_cgroup_v2_find(path, places->unified_point, found) : -ENOENT;
    if (fd < 0)
        return;
    host->ops = &sb_cgroup_v2;
    for (int i = 0; i < SB_CONTROLLERS; i++)
        if (found[i])
            host->base[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
}

void sb_cgroup_find(struct sb_cgroup_host *host, int proc_fd, pid_t owner)
{
    *host = (struct sb_cgroup_host){.base = {-1, -1, -1}, .owner = owner};
    struct places places;
    for (int i = 0; i < HIERARCHIES; i++)
        places.own[i][0] = places.directory[i][0] = '\0';
    places.unified_point[0] = '\0';
    read_own(proc_fd, &places);
    if (!guess_all(&places))
        read_mounts(proc_fd, &places);
    if (places.directory[SB_CPU][0] != '\0')
        host->seen = SB_BY_CGROUP_V1;
    else if (places.directory[UNIFIED][0] != '\0')
        host->seen = SB_BY_CGROUP_V2;
    use_v2(host, &places);
    if (host->ops == NULL)
        use_v1(host, &places);
}

void sb_cgroup_host_fini(struct sb_cgroup_host *host)
{
    for (int i = 0; i < SB_CONTROLLERS; i++)
        sb_close(&host->base[i]);
    host->ops = NULL;
}
