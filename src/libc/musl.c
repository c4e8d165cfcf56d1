/*
 * musl.c - what the programs that are linked with musl need beside it. No program of glibc's contains this file.
 *
 *   checks     Debian's archives (libcap, msgpack-c and others) and, by fortify.h, our own objects call the checked
 *              variants of copies and prints that glibc has and musl has not: too long for its target is the end
 *   sealing    musl's start of a static program relocates, but leaves what it relocated writable
 *   messages   strerror in the words that all other commands of the system use
 *
 * See docs/decisions/0016.
 */
#undef _FORTIFY_SOURCE /* here is what it stands on */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The functions behind fortify.h's names. */
#undef memcpy
#undef memmove
#undef memset
#undef strcpy
#undef strncpy
#undef snprintf
#undef vsnprintf

/* ---- checks: `room` is what the compiler knows of the target, or SIZE_MAX ---- */

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *to, int byte, size_t length, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t length, size_t room);
int __vsnprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, va_list list);
int __snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...);
int __vfprintf_chk(FILE *file, int flag, const char *format, va_list list);
int __fprintf_chk(FILE *file, int flag, const char *format, ...);
int __asprintf_chk(char **out, int flag, const char *format, ...);
int __vasprintf_chk(char **out, int flag, const char *format, va_list list);

static void fits(size_t length, size_t room)
{
    if (length > room)
        abort();
}

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
    fits(length, room);
    return memcpy(to, from, length);
}

void *__memmove_chk(void *to, const void *from, size_t length, size_t room)
{
    fits(length, room);
    return memmove(to, from, length);
}

void *__memset_chk(void *to, int byte, size_t length, size_t room)
{
    fits(length, room);
    return memset(to, byte, length);
}

char *__strcpy_chk(char *to, const char *from, size_t room)
{
    size_t size = strlen(from) + 1;
    fits(size, room);
    return memcpy(to, from, size);
}

char *__strncpy_chk(char *to, const char *from, size_t length, size_t room)
{
    fits(length, room);
    return strncpy(to, from, length);
}

int __vsnprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, va_list list)
{
    (void)flag;
    fits(size, room);
    return vsnprintf(to, size, format, list);
}

int __snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = __vsnprintf_chk(to, size, flag, room, format, list);
    va_end(list);
    return length;
}

/* The next ones have no target to overrun; glibc looks for %n in them, which musl's callers here do not have. */
int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = __vfprintf_chk(file, flag, format, list);
    va_end(list);
    return length;
}

int __vfprintf_chk(FILE *file, int flag, const char *format, va_list list)
{
    (void)flag;
    return vfprintf(file, format, list);
}

int __asprintf_chk(char **out, int flag, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = __vasprintf_chk(out, flag, format, list);
    va_end(list);
    return length;
}

int __vasprintf_chk(char **out, int flag, const char *format, va_list list)
{
    (void)flag;
    return vasprintf(out, format, list);
}

/* ---- sealing ---- */

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

/* Before main: everything that only the start had to write (tables of functions, the GOT) is read-only from here. */
__attribute__((constructor)) static void seal(void)
{
    const char *image = (const char *)&__ehdr_start;
    const Elf64_Phdr *header = (const Elf64_Phdr *)(image + __ehdr_start.e_phoff);
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        if (header[i].p_type != PT_GNU_RELRO)
            continue;
        uintptr_t first = ((uintptr_t)image + header[i].p_vaddr) & -page;
        uintptr_t end = ((uintptr_t)image + header[i].p_vaddr + header[i].p_memsz) & -page;
        if (end > first && mprotect((void *)first, end - first, PROT_READ) != 0)
            abort();
    }
}

/* ---- messages ---- */

char *__real_strerror(int code);
char *__wrap_strerror(int code);

/* By the linker's --wrap=strerror: where the two libraries differ, of the errors that a user of ours can meet. */
char *__wrap_strerror(int code)
{
    static char *const texts[] = {
        [EIO] = "Input/output error",
        [ECHILD] = "No child processes",
        [ENOMEM] = "Cannot allocate memory",
        [EBUSY] = "Device or resource busy",
        [EXDEV] = "Invalid cross-device link",
        [EMFILE] = "Too many open files",
        [ENOTTY] = "Inappropriate ioctl for device",
        [ESPIPE] = "Illegal seek",
        [ENAMETOOLONG] = "File name too long",
        [ELOOP] = "Too many levels of symbolic links",
        [EOVERFLOW] = "Value too large for defined data type",
        [EUSERS] = "Too many users",
        [ENOTSOCK] = "Socket operation on non-socket",
        [EMSGSIZE] = "Message too long",
        [EOPNOTSUPP] = "Operation not supported",
        [ENOTCONN] = "Transport endpoint is not connected",
        [ETIMEDOUT] = "Connection timed out",
        [EUCLEAN] = "Structure needs cleaning",
        [EDQUOT] = "Disk quota exceeded",
    };
    if (code > 0 && (size_t)code < sizeof texts / sizeof *texts && texts[code] != NULL)
        return texts[code];
    return __real_strerror(code);
}
