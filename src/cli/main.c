/*
 * main.c - bioxen, the command line: finds the verb and calls it. Holds no privilege, touches no cgroup,
 * namespace or netlink socket; whatever is done is asked of libbioxen.
 *
 * No locale is set and nothing is initialised that a verb may not need: this start is part of every run's
 * time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "verb.h"

/*
 * A missing standard descriptor would be given to the next file that is opened, a socket to the jailer for
 * instance, and the script's output would go there. The stand-in is opened the wrong way round, so that
 * reading a closed stdin and writing to a closed stdout still fail with EBADF.
 */
static int fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) {
            cli_say("cannot open /dev/null in place of a closed standard descriptor: %s", strerror(errno));
            return -1;
        }
    }
    return 0;
}

static int global_option(const char *argument)
{
    if (strcmp(argument, "--version") == 0) {
        puts("bioxen " BIOXEN_VERSION);
        return cli_finish_output();
    }
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        cli_print_overview(stdout);
        return cli_finish_output();
    }
    cli_say("unknown option '%s' (see 'bioxen help')", argument);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (fill_standard_descriptors() < 0)
        return CLI_HOST;
    if (argc < 2) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (argv[1][0] == '-')
        return global_option(argv[1]);
    const struct cli_verb *verb = cli_find_verb(argv[1]);
    if (verb == NULL) {
        cli_unknown_verb(argv[1]);
        return CLI_USAGE;
    }
    return verb->run(argc - 1, argv + 1);
}
