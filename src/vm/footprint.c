/*
 * footprint.c - what the process has of the kernel, and giving back what it does not need.
 *
 * A heap seldom shrinks at its end: one live block there holds all. When memory runs short, free pages inside
 * the heap are given back, and the heap counts for less than its length from then on. How much less is a
 * lower bound, made of malloc's own figures: each free piece is whole pages but for two at most. Every block that
 * malloc hands out then may fill a hole, and counts; that others are freed does not make up for it, because their
 * pages stay. All of that counts pages, so there must be no larger ones: where the kernel makes huge pages by itself,
 * the first byte of a hole would take two megabytes.
 */
#include "footprint.h"

#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096u

/* Of a free piece this much may stay: what is left of a page at both of its ends, and malloc's own words in it. */
#define KEPT_OF_A_PIECE (2 * PAGE + 64)

void vm_footprint_init(struct vm_footprint *footprint)
{
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* it fails where there are none */
    uintptr_t now = (uintptr_t)sbrk(0);
    *footprint = (struct vm_footprint){.start = now, .end = now, .filled = VM_ALL_OF_IT};
}

/* Of the heap that ends at `end`. It can end before it began, when what the process had before has become free. */
static size_t length_of(const struct vm_footprint *footprint, uintptr_t end)
{
    return end > footprint->start ? end - footprint->start : 0;
}

static size_t count(const struct vm_footprint *footprint, uintptr_t end)
{
    size_t length = length_of(footprint, end);
    return (footprint->filled < length ? footprint->filled : length) + footprint->mapped;
}

size_t vm_footprint_now(const struct vm_footprint *footprint)
{
    return count(footprint, footprint->end);
}

int vm_footprint_measure(struct vm_footprint *footprint, size_t ceiling)
{
    uintptr_t end = (uintptr_t)sbrk(0);
    if (end > footprint->end && count(footprint, end) > ceiling)
        return -1;
    footprint->end = end;
    return vm_footprint_now(footprint) <= ceiling ? 0 : -1;
}

/* Does the syscall filter let free pages go? (Tried on a page that is not in use.) */
static bool can_give_back(void)
{
    static char page[PAGE] __attribute__((aligned(PAGE)));
    return madvise(page, PAGE, MADV_DONTNEED) == 0;
}

void vm_footprint_trim(struct vm_footprint *footprint)
{
    malloc_trim(0);
    uintptr_t end = (uintptr_t)sbrk(0);
    if (end < footprint->end)
        footprint->end = end;
    footprint->filled = VM_ALL_OF_IT;
    struct mallinfo2 info = mallinfo2();
    size_t kept = info.fsmblks + info.ordblks * KEPT_OF_A_PIECE;
    if (info.fordblks <= kept || !can_give_back())
        return;
    size_t holes = info.fordblks - kept, length = length_of(footprint, footprint->end);
    if (holes < length)
        footprint->filled = length - holes;
}
