/*
 * main.c - bioxen-vm, the program inside the jail: pid 1 of its own namespaces, with three streams and the
 * lifeline.
 *
 * It believes nothing of its jail that it can check. There is no switch, option or variable that leaves the
 * lock out: what runs a script without a filter is another program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "sandbox/lock.h"
#include "vm.h"

static struct vm vm;

/* Where lines wait for their end; static, so that the stream needs no allocation and no fstat, which the
 * filter refuses. */
static char output_buffer[4096];

static int check_arguments(int argc, char **argv, enum jw_profile *profile, struct bx_error *err)
{
    vm.networked = argc == 3 && strcmp(argv[2], "networked") == 0;
    if (argc != 2 && !vm.networked)
        return bx_fail(err, EINVAL, "this program is started by bioxen-jailer");
    if (strcmp(argv[1], "restricted") == 0)
        *profile = JW_RESTRICTED;
    else if (strcmp(argv[1], "full") == 0)
        *profile = JW_FULL;
    else
        return bx_fail(err, EINVAL, "'%s' is no profile", argv[1]);
    return 0;
}

/* Three streams and the lifeline, and nothing else: what a jailer forgot to close is not left to a script. */
static int check_descriptors(struct bx_error *err)
{
    for (int fd = 0; fd < LW_FD; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return bx_fail_errno(err, errno, "descriptor %d", fd);
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(LW_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
        return bx_fail(err, EBADF, "descriptor %d is no lifeline", LW_FD);
    if (close_range(LW_FD + 1, ~0U, 0) != 0)
        return bx_fail_errno(err, errno, "close_range");
    return 0;
}

static int check_jail(struct bx_error *err)
{
    char why[256];
    if (sb_lock_verify(why, sizeof why) < 0)
        return bx_fail(err, EPERM, "not in a jail: %s", why);
    return 0;
}

/* Output leaves line by line: it is seen as it comes, and what was printed survives a kill. */
static void set_streams(void)
{
    setvbuf(stdout, output_buffer, _IOLBF, sizeof output_buffer);
    setvbuf(stderr, NULL, _IONBF, 0);
}

static int lock(enum jw_profile profile, struct bx_error *err)
{
    static const enum sb_filter filters[2][2] = {
        [JW_RESTRICTED] = {SB_FILTER_RESTRICTED, SB_FILTER_RESTRICTED_NETWORKED},
        [JW_FULL] = {SB_FILTER_FULL, SB_FILTER_FULL_NETWORKED},
    };
    int failed = sb_lock_filter(filters[profile][vm.networked]);
    return failed ? bx_fail_errno(err, -failed, "cannot install the syscall filter") : 0;
}

int main(int argc, char **argv)
{
    struct bx_error err = {0};
    enum jw_profile profile = JW_RESTRICTED;
    if (check_arguments(argc, argv, &profile, &err) < 0 || check_descriptors(&err) < 0 || check_jail(&err) < 0 ||
        vm_crash_install(&err) < 0 || vm_interrupt_prepare(&err) < 0 || vm_open(&vm, profile, &err) < 0) {
        dprintf(STDERR_FILENO, "bioxen-vm: %s\n", err.text);
        return 125;
    }
    set_streams();
    if (gethostname(vm.name, sizeof vm.name - 1) != 0)
        strcpy(vm.name, "localhost");
    if (vm.networked)
        vm_net_init(&vm);
    if (lock(profile, &err) < 0) {
        dprintf(STDERR_FILENO, "bioxen-vm: %s\n", err.text);
        return 125;
    }
    vm_serve(&vm);
}
