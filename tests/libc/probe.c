/*
 * probe.c - one thing at a time that the C library, the compiler and the linker are to prevent or to do, in a program
 * that is linked as bioxen and bioxend are. tests/build/test_libc.py looks at how it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/lock.h"

static void (*const kept[])(void) = {abort}; /* needs a relocation: it lies in what is sealed after the start */

/* The compiler must not know what is coming. */
static volatile size_t many = 64;

__attribute__((noinline)) static void fill(volatile char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = 'x';
}

/* Hits the guard behind an array and nothing else: only whoever looks at the guard notices. */
__attribute__((noinline)) static void overrun_stack(void)
{
    char small[16];
    unsigned long guard;
    __asm__("movq %%fs:40, %0" : "=r"(guard)); /* where the compiler expects it, whichever the C library is */
    fill(small, sizeof small);
    for (size_t i = sizeof small; i < many; i += sizeof guard)
        if (guard != 0 && memcmp(&small[i], &guard, sizeof guard) == 0)
            fill(&small[i], 1);
}

static void overrun_memcpy(void)
{
    char small[16], large[64] = "";
    memcpy(small, large, many);
    puts(small);
}

static void overrun_snprintf(void)
{
    char small[16];
    snprintf(small, many, "%s", "text");
    puts(small);
}

static void write_sealed(void)
{
    fill((volatile char *)(size_t)&kept[many - 64], sizeof kept);
}

/* The orchestrator's filter is around it: abort must still end. */
static void abort_locked(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sb_lock_filter(SB_FILTER_ORCHESTRATOR) == 0)
        abort();
}

static void print_errors(void)
{
    for (int code = 1; code < 134; code++)
        puts(strerror(code));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {
        {"stack", overrun_stack},   {"memcpy", overrun_memcpy}, {"snprintf", overrun_snprintf},
        {"sealed", write_sealed}, {"abort", abort_locked},    {"errors", print_errors},
    };
    for (size_t i = 0; argc == 2 && i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].name) == 0) {
            all[i].run();
            puts("it went on");
            return 0;
        }
    return 2;
}
