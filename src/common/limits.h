/*
 * limits.h - every limit that two processes must agree on, and why it is that number.
 */
#ifndef BX_COMMON_LIMITS_H
#define BX_COMMON_LIMITS_H

/* A SEQPACKET message caps at about 208 KiB with the kernel's default wmem_default; stay well under it. */
#define BX_FRAME_MAX (128u * 1024u)

/* Host directories that one VM may have mounted, its script's directory included. Bounds the descriptors
 * in one message (SCM_MAX_FD is 253) and the size of a spawn request. */
#define BX_MOUNTS_MAX 16

/* Clients that one VM serves at a time; each costs it a descriptor and a buffer. */
#define BX_SESSIONS_MAX 64

/* A mount's target inside the VM, with the NUL. */
#define BX_MOUNT_TARGET_MAX 128

/* A VM's name: letters, digits, '_', '-', '.'; also its host name in the uts namespace (64 at most). */
#define BX_NAME_MAX 63

/* The largest script that is read: far above any program that was written by hand, far below what would
 * hurt a host. */
#define BX_SCRIPT_MAX (64u * 1024u * 1024u)

/* Names, arguments and environment of a program, encoded. ARG_MAX on Linux is 2 MiB by default. */
#define BX_PROGRAM_HEAD_MAX (4u * 1024u * 1024u)

/* What is kept of an error message and of a traceback: a script chooses how long they are. */
#define BX_MESSAGE_MAX (16u * 1024u)

/* Defaults of a VM (fixed by the users' contract). */
#define BX_DEFAULT_MEMORY (64ull * 1024 * 1024)        /* bytes */
#define BX_DEFAULT_CPUS_MILLI 1000u                    /* thousandths of one processor */
#define BX_DEFAULT_PIDS 16u
#define BX_DEFAULT_OUTPUT (10ull * 1024 * 1024)        /* bytes of stdout and stderr together */
#define BX_DEFAULT_TMP_BYTES (16ull * 1024 * 1024)     /* scratch /tmp of profile full */
#define BX_DEFAULT_TMP_INODES 4096u

/* Of a VM that is restarted. */
#define BX_DEFAULT_RESTART_DELAY_MS     100u
#define BX_DEFAULT_RESTART_FACTOR       2000u   /* thousandths */
#define BX_DEFAULT_RESTART_MAX_DELAY_MS 30000u
#define BX_DEFAULT_RESTART_JITTER_PPM   250000u
#define BX_DEFAULT_RESTART_MAX          5u
#define BX_DEFAULT_RESTART_WITHIN_MS    60000u
#define BX_DEFAULT_RESTART_RESET_MS     10000u

/*
 * Ranges of what a client may ask; the jailer checks them again. A pebibyte, and a year, are far from
 * overflow in sums and in ns.
 */
#define BX_BYTES_MAX (1ull << 50)
#define BX_TIME_MAX_MS (366ull * 86400 * 1000)
#define BX_CPUS_MILLI_MIN 10u      /* the kernel's smallest CPU quota: 1 ms of a 100 ms period */
#define BX_CPUS_MILLI_MAX 1000000u
#define BX_PIDS_MAX 4194304u       /* the kernel's PID_MAX_LIMIT */

/* Restarts: a day between two of them; a hundred times as long with each; as many as fit into some MiB to count. */
#define BX_RESTART_DELAY_MAX_MS (24ull * 3600 * 1000)
#define BX_RESTART_FACTOR_MAX   100000u /* thousandths */
#define BX_RESTARTS_MAX         1000000u

/* How a wire may behave. A kilobit a second moves a packet in 12 s; the kernel's queues hold what a minute delays. */
#define BX_RATE_MIN 1000ull              /* bits a second */
#define BX_RATE_MAX 100000000000ull
#define BX_DELAY_MAX_US 60000000u
#define BX_LOSS_MAX_PPM 1000000u

/* The smallest memory limit that a VM starts in: the process, its page tables and an open Lua state. */
#define BX_MEMORY_MIN (2ull * 1024 * 1024)

#endif
