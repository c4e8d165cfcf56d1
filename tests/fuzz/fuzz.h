/*
 * fuzz.h - what every fuzz target shares.
 *
 * A target feeds one decoder with arbitrary bytes, and holds it to what it promises: no fault, nothing written
 * on failure, and that what it accepted comes back the same through the encoder.
 */
#ifndef BX_TESTS_FUZZ_H
#define BX_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that was broken is a crash that libFuzzer reports with its input. */
#define PROMISE(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

/* The bytes in a block of exactly their size, so that ASan sees a read beyond the end. The caller frees. */
static inline void *fuzz_exact(const uint8_t *data, size_t size)
{
    void *copy = malloc(size == 0 ? 1 : size);
    PROMISE(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

#endif
