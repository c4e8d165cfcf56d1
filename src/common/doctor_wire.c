/* doctor_wire.c - checks the doctor's records; keeps nothing, prints nothing. */
#include "common/doctor_wire.h"

#include <stdbool.h>
#include <string.h>

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

const char *doctor_record_check(const void *bytes, size_t length)
{
    struct doctor_record record;
    if (length != sizeof record)
        return "a record of the wrong size";
    memcpy(&record, bytes, sizeof record);
    if (record.magic != DOCTOR_MAGIC)
        return "a record of another version";
    if (record.type < DOCTOR_HELLO || record.type > DOCTOR_DONE)
        return "a record of unknown type";
    if (record.status > DOCTOR_MISSING || record.required > 1 || record.privileged > 1)
        return "a record with a value out of range";
    if (!terminated(record.id, sizeof record.id) || !terminated(record.title, sizeof record.title) ||
        !terminated(record.needed_by, sizeof record.needed_by) ||
        !terminated(record.note, sizeof record.note) || !terminated(record.cause, sizeof record.cause) ||
        !terminated(record.fix, sizeof record.fix))
        return "a record with an unterminated text";
    return NULL;
}
