/* check_source.c - opens scripts without being held up by what they turn out to be. */
#include "check_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/codec.h"
#include "common/limits.h"
#include "common/text.h"

/*
 * What is put before a script: it ends the run before the script's first statement, and leaves its lines as they are.
 */
static const char prefix[] = "do return end ";

/* What is shown of a line. */
#define SHOWN_MAX 200

char *check_source_path(const char *directory, struct bioxen_string path)
{
    size_t before = path.length > 0 && path.bytes[0] == '/' ? 0 : strlen(directory);
    char *full = malloc(before + path.length + 2);
    if (full == NULL)
        return NULL;
    memcpy(full, directory, before);
    if (before > 0)
        full[before++] = '/';
    memcpy(full + before, path.bytes, path.length);
    full[before + path.length] = '\0';
    return full;
}

static const char *why_not(int code)
{
    switch (code) {
    case ENOENT: return "is not there";
    case ENOTDIR: return "is not there: what is before a '/' is no directory";
    case EACCES: return "cannot be read: permission denied";
    case ELOOP: return "cannot be read: too many symbolic links";
    case ENAMETOOLONG: return "cannot be there: the name is too long";
    case ENXIO: return "is not a regular file";
    case ENOMEM: return "cannot be read: out of memory";
    default: return "cannot be read";
    }
}

static const char *open_script(const char *directory, struct bioxen_string path, int *fd, size_t *size)
{
    struct stat st;
    char *full = check_source_path(directory, path);
    if (full == NULL)
        return why_not(ENOMEM);
    *fd = open(full, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); /* of a pipe or device no open waits */
    int code = errno;
    free(full);
    if (*fd < 0)
        return why_not(code);
    const char *wrong = fstat(*fd, &st) != 0                ? why_not(errno)
                        : S_ISDIR(st.st_mode)               ? "is a directory"
                        : !S_ISREG(st.st_mode)              ? "is not a regular file"
                        : st.st_size > (off_t)BX_SCRIPT_MAX ? "is too large: at most 64 MiB are read"
                                                            : NULL;
    if (wrong != NULL)
        close(*fd);
    else
        *size = (size_t)st.st_size;
    return wrong;
}

const char *check_source_look(const char *directory, struct bioxen_string path)
{
    int fd;
    size_t size;
    const char *wrong = open_script(directory, path, &fd, &size);
    if (wrong == NULL)
        close(fd);
    return wrong;
}

/* Reads up to `size` bytes: what grows meanwhile is cut, what shrinks is shorter. */
const char *check_source_read(const char *directory, struct bioxen_string path, struct check_source_text *out)
{
    int fd;
    size_t size, used = 0;
    ssize_t got = 1;
    const char *wrong = open_script(directory, path, &fd, &size);
    if (wrong != NULL)
        return wrong;
    char *bytes = malloc(size + 1);
    while (bytes != NULL && used < size && got != 0) {
        got = read(fd, bytes + used, size - used);
        if (got < 0 && errno != EINTR)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (bytes == NULL || got < 0) {
        free(bytes);
        return why_not(bytes == NULL ? ENOMEM : EIO);
    }
    *out = (struct check_source_text){bytes, used};
    return NULL;
}

/* What a file may begin with and Lua does not know: the mark of UTF-8, and a first line with '#', but for its end. */
static size_t beginning(const struct check_source_text *text)
{
    size_t skip = text->length >= 3 && memcmp(text->bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (skip < text->length && text->bytes[skip] == '#')
        while (skip < text->length && text->bytes[skip] != '\n')
            skip++;
    return skip;
}

static const char *put_behind(const char *middle, const char *text, size_t length, struct check_source_text *out)
{
    size_t before = strlen(prefix), between = strlen(middle);
    char *bytes = malloc(before + between + length + 1);
    if (bytes == NULL)
        return why_not(ENOMEM);
    memcpy(bytes, prefix, before);
    memcpy(bytes + before, middle, between);
    memcpy(bytes + before + between, text, length);
    *out = (struct check_source_text){bytes, before + between + length};
    return NULL;
}

const char *check_source_compilable(const char *directory, bool is_file, struct bioxen_string given, bool as_expression,
                                    struct check_source_text *out)
{
    struct check_source_text text = {0};
    if (!is_file)
        return put_behind(as_expression ? "return " : "", given.bytes != NULL ? given.bytes : "", given.length, out);
    const char *wrong = check_source_read(directory, given, &text);
    if (wrong != NULL)
        return wrong;
    size_t skip = beginning(&text);
    if (text.length > skip && text.bytes[skip] == '\x1b')
        wrong = "is compiled Lua: only text is loaded";
    else
        wrong = put_behind("", text.bytes + skip, text.length - skip, out);
    free(text.bytes);
    return wrong;
}

char *check_source_line(const char *directory, const char *path, unsigned line)
{
    struct check_source_text text;
    size_t length;
    if (check_source_read(directory, (struct bioxen_string){path, strlen(path)}, &text) != NULL)
        return NULL;
    const char *at = text.bytes, *end = text.bytes + text.length;
    for (unsigned i = 1; at != NULL && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at += at != NULL;
    }
    char *shown = NULL;
    if (at != NULL && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        length = stop != NULL ? (size_t)(stop - at) : (size_t)(end - at);
        length -= length > 0 && at[length - 1] == '\r';
        shown = text_escape(at, length < SHOWN_MAX ? length : SHOWN_MAX, TEXT_KEEP_LINES, &length);
    }
    free(text.bytes);
    return shown;
}

int check_source_outcome(const char *body, size_t length, enum record_outcome *out)
{
    msgpack_unpacked unpacked;
    struct record record = {0};
    if (bx_unpack(&unpacked, body, length) != 0)
        return -EBADMSG;
    const msgpack_object *packed = bx_map_find(&unpacked.data, "record");
    int rc = packed != NULL ? record_unpack(packed, &record) : -EBADMSG;
    if (rc == 0)
        *out = (enum record_outcome)record.outcome;
    record_fini(&record);
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}
