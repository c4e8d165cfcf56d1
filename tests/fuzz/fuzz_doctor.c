/* fuzz_doctor.c - the findings that the command line reads from the jailer's doctor mode. */
#include "fuzz.h"

#include "common/doctor_wire.h"

static void try(const void *bytes, size_t size)
{
    struct doctor_record record;
    if (doctor_record_check(bytes, size) != NULL)
        return;
    PROMISE(size == sizeof record);
    memcpy(&record, bytes, sizeof record);
    PROMISE(record.type >= DOCTOR_HELLO && record.type <= DOCTOR_DONE && record.status <= DOCTOR_MISSING);
    PROMISE(strnlen(record.id, sizeof record.id) < sizeof record.id);
    PROMISE(strnlen(record.fix, sizeof record.fix) < sizeof record.fix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *bytes = fuzz_exact(data, size);
    try(bytes, size);
    free(bytes);
    return 0;
}
