/* files.c - small files of the kernel: written whole, read from their start. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

int sb_write_at(int dir, const char *file, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text)
        return -EINVAL;
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t done = write(fd, text, (size_t)length); /* the kernel takes it whole or not at all */
    int rc = done == length ? 0 : done < 0 ? -errno : -EIO;
    close(fd);
    return rc;
}

ssize_t sb_read_at(int dir, const char *file, char *out, size_t size)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, out, size - 1);
    if (length < 0)
        length = -errno;
    else
        out[length] = '\0';
    close(fd);
    return length;
}

void sb_number_at(int dir, const char *file, uint64_t *out)
{
    char text[32], *end;
    if (sb_read_at(dir, file, text, sizeof text) <= 0)
        return;
    unsigned long long number = strtoull(text, &end, 10);
    if (end != text)
        *out = number;
}

uint64_t sb_number_after(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
    }
    return 0;
}
