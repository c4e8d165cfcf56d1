/*
 * units.h - reads and writes sizes, times and numbers of processors. No printing, no state.
 *
 * Readers take the whole text or nothing: 0, -EINVAL when it is no such quantity, -ERANGE when it does
 * not fit in 64 bits. `out` is untouched on failure.
 */
#ifndef BX_COMMON_UNITS_H
#define BX_COMMON_UNITS_H

#include <stdint.h>

/* Bytes: "65536", or a number, also with a fraction, and K, M, G, T or KiB, MiB, GiB, TiB in any case. */
int units_size(const char *text, uint64_t *out);

/* Milliseconds: numbers, also with a fraction, each with ms, s, m or h: "250ms", "1.5s", "1m30s". */
int units_time(const char *text, uint64_t *out);

/* Thousandths of a processor: "0.5", "2", ".25". What is finer than a thousandth is dropped. */
int units_cpus(const char *text, uint64_t *out);

/* A whole number in decimal digits. */
int units_count(const char *text, uint64_t *out);

/* Microseconds: numbers, also with a fraction, each with us, ms or s: "20ms", "1.5ms", "500us". */
int units_delay(const char *text, uint64_t *out);

/* Bits a second: a number, also with a fraction, and bit, kbit, mbit or gbit (1000 each) in any case. */
int units_rate(const char *text, uint64_t *out);

/* Millionths: a number, also with a fraction, and %: "1%" is 10000. */
int units_percent(const char *text, uint64_t *out);

/* The shortest exact form, which the readers read back to the same value. */
#define UNITS_TEXT_MAX 32
void units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX]);
void units_format_time(uint64_t milliseconds, char out[UNITS_TEXT_MAX]);
void units_format_cpus(uint64_t thousandths, char out[UNITS_TEXT_MAX]);
void units_format_delay(uint64_t microseconds, char out[UNITS_TEXT_MAX]);
void units_format_rate(uint64_t bits, char out[UNITS_TEXT_MAX]);
void units_format_percent(uint64_t millionths, char out[UNITS_TEXT_MAX]);

#endif
