/*
 * run_report.c - --report: the death record as JSON, whole or not at all.
 *
 * A regular file is replaced by rename, so that nobody reads half a report and a full disk leaves the old
 * one. The temporary file has no name while it is written: a kill -9 leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"
#include "common/text.h"
#include "common/units.h"

/* ---- JSON ---- */

/* Any bytes as a JSON string: what is no UTF-8 becomes U+FFFD. null for no string. */
static json_t *json_bytes(struct bioxen_string string)
{
    if (string.bytes == NULL)
        return json_null();
    size_t length;
    char *valid = text_valid_utf8(string.bytes, string.length, &length);
    json_t *value = valid != NULL ? json_stringn(valid, length) : NULL;
    free(valid);
    return value;
}

static json_t *json_text(const char *text)
{
    return text != NULL ? json_bytes((struct bioxen_string){.bytes = text, .length = strlen(text)})
                        : json_null();
}

static json_t *json_number(uint64_t number)
{
    return json_integer((json_int_t)number);
}

static json_t *json_thousandths(uint64_t number)
{
    return json_real((double)number / 1000.0);
}

static json_t *json_limit(const struct bioxen_limit *limit)
{
    json_t *asked = limit->asked == 0                  ? json_null()
                    : strcmp(limit->name, "cpus") == 0 ? json_thousandths(limit->asked)
                                                       : json_number(limit->asked);
    bool enforced = limit->asked != 0 && limit->enforced_by != NULL && limit->enforced_by[0] != '\0';
    return json_pack("{s:o, s:o}", "asked", asked, "enforced_by",
                     enforced ? json_text(limit->enforced_by) : json_null());
}

static json_t *json_limits(const struct bioxen_record *record)
{
    json_t *limits = json_object();
    for (size_t i = 0; i < BIOXEN_LIMIT_COUNT; i++)
        if (record->limits[i].name != NULL &&
            json_object_set_new(limits, record->limits[i].name, json_limit(&record->limits[i])) < 0) {
            json_decref(limits);
            return NULL;
        }
    return limits;
}

static json_t *json_record(const struct bioxen_record *record)
{
    return json_pack(
        "{s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", json_text(record->name),
        "outcome", json_text(bioxen_outcome_name(record->outcome)), "exit_code", record->exit_code, "signal",
        record->signal != 0 ? json_integer(record->signal) : json_null(), "error", json_bytes(record->error),
        "traceback", json_bytes(record->traceback), "syscall", json_text(record->syscall), "wall_ms",
        json_thousandths(record->wall_us), "cpu_ms", json_thousandths(record->cpu_us), "memory_peak",
        json_number(record->memory_peak), "output_bytes", json_number(record->output_bytes), "restarts",
        json_number(record->restarts), "limits", json_limits(record));
}

char *run_report_json(const struct bioxen_record *record)
{
    char *line = NULL;
    json_t *object = json_record(record);
    char *text = object != NULL ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    if (text != NULL && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    json_decref(object);
    return line;
}

/* ---- where it goes ---- */

/*
 * Paths that name a descriptor of ours are that descriptor: to open them anew would begin a file over that
 * the script's output goes to, and fails for sockets. Returns it, or -1.
 */
static int descriptor_named(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    uint64_t number;
    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t length = strlen(folders[i]);
        if (strncmp(path, folders[i], length) == 0 && units_count(path + length, &number) == 0 &&
            number <= INT32_MAX)
            return (int)number;
    }
    return -1;
}

static int fail_report(struct run_failure *failure, const char *path, int code)
{
    return run_fail(failure, CLI_HOST, "cannot write report '%s': %s", path, strerror(code));
}

static int prepare_descriptor(struct run_report *report, int fd, struct run_failure *failure)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0)
        return fail_report(failure, report->path, EBADF);
    report->way = RUN_REPORT_FD;
    report->fd = fd;
    return 0;
}

/*
 * A file without a name, or -1 where the file system has none but a named one can be made (and was, and is
 * gone). Or -errno.
 */
static int open_temporary(const char *directory, const char *name, int *out)
{
    int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -errno;
    *out = fd;
    if (fd >= 0)
        return 0;
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    close(fd);
    return unlink(name) == 0 ? 0 : -errno;
}

/*
 * The report will take the place of `path`. Makes what is needed in its directory now, while it can still
 * be said. 0 or -errno.
 */
static int prepare_replace(struct run_report *report)
{
    char *directory = run_directory_of(report->path);
    if (directory == NULL ||
        asprintf(&report->temporary, "%s/.bioxen-report-%ld.tmp", directory, (long)getpid()) < 0) {
        report->temporary = NULL;
        free(directory);
        return -ENOMEM;
    }
    int rc = open_temporary(directory[0] != '\0' ? directory : "/", report->temporary, &report->fd);
    free(directory);
    if (rc == 0)
        report->way = RUN_REPORT_REPLACE;
    return rc;
}

/* Something is there. A regular file's symlinks are followed first: the rename must not replace the link. */
static int prepare_existing(struct run_report *report, const struct stat *st, struct run_failure *failure)
{
    if (S_ISDIR(st->st_mode))
        return fail_report(failure, report->path, EISDIR);
    if (faccessat(AT_FDCWD, report->path, W_OK, AT_EACCESS) < 0)
        return fail_report(failure, report->path, errno);
    report->way = RUN_REPORT_OPEN;
    if (!S_ISREG(st->st_mode))
        return 0;
    char *real = realpath(report->path, NULL);
    if (real == NULL)
        return fail_report(failure, report->path, errno);
    free(report->path);
    report->path = real;
    (void)prepare_replace(report); /* else it is written in place */
    return 0;
}

static int prepare_new(struct run_report *report, struct run_failure *failure)
{
    struct stat st;
    size_t length = strlen(report->path);
    if (length == 0 || report->path[length - 1] == '/')
        return fail_report(failure, report->path, ENOENT);
    if (lstat(report->path, &st) == 0)
        return run_fail(failure, CLI_HOST, "cannot write report '%s': it is a symbolic link to nowhere",
                        report->path);
    int rc = prepare_replace(report);
    return rc < 0 ? fail_report(failure, report->path, -rc) : 0;
}

int run_report_prepare(struct run_report *report, const char *path, struct run_failure *failure)
{
    struct stat st;
    *report = (struct run_report){.way = RUN_REPORT_NONE, .fd = -1};
    if (path == NULL)
        return 0;
    report->path = strdup(path);
    if (report->path == NULL)
        return fail_report(failure, path, ENOMEM);
    int fd = descriptor_named(path);
    if (fd >= 0)
        return prepare_descriptor(report, fd, failure);
    if (stat(path, &st) == 0)
        return prepare_existing(report, &st, failure);
    if (errno != ENOENT)
        return fail_report(failure, path, errno);
    return prepare_new(report, failure);
}

void run_report_fini(struct run_report *report)
{
    if (report->way == RUN_REPORT_REPLACE && report->fd >= 0)
        close(report->fd);
    free(report->path);
    free(report->temporary);
}

/* ---- writing ---- */

static int write_text(int fd, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        int rc = run_output_write(fd, &text, &length, -1, -1);
        if (rc < 0 && rc != -EINTR)
            return rc;
    }
    return 0;
}

/* Writes a file of its own under the temporary name. */
static int write_named(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int rc = write_text(fd, text);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc < 0)
        unlink(name);
    return rc;
}

/* Writes the nameless file, then gives it the temporary name: linkat cannot replace the report itself. */
static int write_nameless(int fd, const char *name, const char *text)
{
    char link[32];
    int rc = write_text(fd, text);
    if (rc < 0)
        return rc;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return errno == ENOENT ? write_named(name, text) : -errno; /* ENOENT: no /proc here */
}

static int replace(const struct run_report *report, const char *text)
{
    int rc = report->fd >= 0 ? write_nameless(report->fd, report->temporary, text)
                             : write_named(report->temporary, text);
    if (rc == 0 && rename(report->temporary, report->path) < 0) {
        rc = -errno;
        unlink(report->temporary);
    }
    return rc;
}

static int open_and_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int rc = write_text(fd, text);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

int run_report_put(const struct run_report *report, const char *text, struct run_failure *failure)
{
    if (report->way == RUN_REPORT_NONE)
        return 0;
    int rc = -ENOMEM;
    if (text != NULL)
        rc = report->way == RUN_REPORT_FD     ? write_text(report->fd, text)
             : report->way == RUN_REPORT_OPEN ? open_and_write(report->path, text)
                                              : replace(report, text);
    return rc < 0 ? fail_report(failure, report->path, -rc) : 0;
}

int run_report_write(const struct run_report *report, const struct bioxen_record *record,
                     struct run_failure *failure)
{
    char *text = report->way != RUN_REPORT_NONE ? run_report_json(record) : NULL;
    int rc = run_report_put(report, text, failure);
    free(text);
    return rc;
}
