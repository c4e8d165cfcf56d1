/* names.c - pure checks of strings. */
#include "names.h"

#include <string.h>

#include "limits.h"

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

bool bx_name_sound(const char *name)
{
    size_t length = strnlen(name, BX_NAME_MAX + 1);
    if (length == 0 || length > BX_NAME_MAX || name[0] == '-' || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!name_byte(name[i]))
            return false;
    return true;
}

static bool component_sound(const char *start, size_t length)
{
    return length > 0 && !(length == 1 && start[0] == '.') && !(length == 2 && start[0] == '.' && start[1] == '.');
}

bool bx_target_sound(const char *target)
{
    if (target[0] != '/' || strnlen(target, BX_MOUNT_TARGET_MAX) >= BX_MOUNT_TARGET_MAX)
        return false;
    const char *start = target + 1;
    for (;;) {
        size_t length = strcspn(start, "/");
        if (!component_sound(start, length))
            return false;
        if (start[length] == '\0')
            return true;
        start += length + 1;
    }
}

bool bx_targets_overlap(const char *a, const char *b)
{
    size_t length_a = strlen(a), length_b = strlen(b);
    size_t shorter = length_a < length_b ? length_a : length_b;
    const char *longer = length_a < length_b ? b : a;
    return strncmp(a, b, shorter) == 0 && (longer[shorter] == '\0' || longer[shorter] == '/');
}
