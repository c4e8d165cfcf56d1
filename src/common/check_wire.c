/* check_wire.c - sizes first. */
#include "check_wire.h"

#include <errno.h>
#include <string.h>

/* Counts the variables; returns UINT32_MAX when one is none. */
static uint32_t count_variables(const char *at, const char *end)
{
    uint32_t count = 0;
    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        if (nul == NULL || *at == '=' || memchr(at, '=', (size_t)(nul - at)) == NULL)
            return UINT32_MAX;
        at = nul + 1;
        count++;
    }
    return count;
}

int check_decode(const char *bytes, size_t length, struct check_source *out)
{
    struct check_header header;
    if (length < sizeof header)
        return -EBADMSG;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != CHECK_MAGIC || header.variables > CHECK_VARIABLES_MAX || header.text > CHECK_TEXT_MAX ||
        header.count > CHECK_VARIABLE_COUNT_MAX || length != sizeof header + header.variables + header.text)
        return -EBADMSG;
    const char *variables = bytes + sizeof header, *text = variables + header.variables;
    if (count_variables(variables, text) != header.count)
        return -EBADMSG;
    *out = (struct check_source){variables, header.count, text, header.text};
    return 0;
}
