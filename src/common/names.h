/*
 * names.h - which names and mount targets are sound. One rule for whoever asks and for whoever checks again.
 */
#ifndef BX_COMMON_NAMES_H
#define BX_COMMON_NAMES_H

#include <stdbool.h>

/*
 * 1..BX_NAME_MAX bytes of letters, digits, '_', '-' and '.', and does not begin with '-' or '.'. Reads
 * BX_NAME_MAX + 1 bytes at most.
 */
bool bx_name_sound(const char *name);

/* An absolute path in normal form that is not "/", shorter than BX_MOUNT_TARGET_MAX. Reads that many bytes at most. */
bool bx_target_sound(const char *target);

/* Is one the other, or inside the other? "/a" and "/a/b" are, "/a" and "/ab" are not. Both must be sound. */
bool bx_targets_overlap(const char *a, const char *b);

#endif
