/*
 * footprint.h - how much memory the process has of the kernel: the heap that brk made, and the mappings of
 * large blocks.
 */
#ifndef BX_VM_FOOTPRINT_H
#define BX_VM_FOOTPRINT_H

#include <stddef.h>
#include <stdint.h>

struct vm_footprint {
    uintptr_t start; /* where the heap began */
    uintptr_t end;   /* where it ends at most: it may have become smaller since that was looked at */
    size_t mapped;   /* bytes of mappings */
    size_t filled;   /* bytes of the heap that may have pages, counted since it was looked through; or VM_ALL_OF_IT */
};

#define VM_ALL_OF_IT SIZE_MAX

/* What the process has so far does not count. */
void vm_footprint_init(struct vm_footprint *footprint);

/* Bytes, never less than what the kernel counts as far as that can be known here. */
size_t vm_footprint_now(const struct vm_footprint *footprint);

/* Looks where the heap ends. Accepts that if it is all within `ceiling` bytes, else returns -1. */
int vm_footprint_measure(struct vm_footprint *footprint, size_t ceiling);

/* Gives free memory back to the kernel, from the end of the heap and from holes in it, and counts anew. Takes
 * milliseconds in a large heap. */
void vm_footprint_trim(struct vm_footprint *footprint);

#endif
