/*
 * test_daemon_clients.c - several clients of one bioxend: who is let in, what is whose, and what ends with whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/un.h>

#include "stage.h"

/* The owner's end, and a socket that more clients connect to. */
struct house {
    struct stage stage;
    int owner;
    struct sockaddr_un address;
    socklen_t address_length;
};

static int listening_socket(struct house *house)
{
    const struct sockaddr any = {.sa_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    house->address_length = sizeof house->address;
    assert_int_equal(bind(fd, &any, sizeof any.sa_family), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&house->address, &house->address_length), 0);
    return fd;
}

static uint32_t ask_to_listen(struct house *house, int fd)
{
    static char frame[CTL_NOTE_MAX];
    struct ctl_note note = {.text = ""};
    struct iovec part = {frame, ctl_encode_note(CTL_LISTEN, ++house->stage.last_id, &note, frame)};
    assert_int_equal(bx_send_wait(house->stage.control, &part, 1, &fd, 1), 0);
    return house->stage.last_id;
}

static void house_begin(struct house *house)
{
    stage_begin(&house->stage);
    house->owner = house->stage.control;
    int fd = listening_socket(house);
    client_expect(&house->stage, CTL_DONE, ask_to_listen(house, fd));
    client_refused(&house->stage, ask_to_listen(house, fd), EBUSY);
    close(fd);
}

static void house_end(struct house *house)
{
    house->stage.control = house->owner;
    stage_end(&house->stage);
}

static int knock(struct house *house)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&house->address, house->address_length), 0);
    return fd;
}

/* From now on the helpers of the stage speak for this client. */
static void speak_as(struct house *house, int fd)
{
    house->stage.control = fd;
}

static void expect_end_of(int fd)
{
    char byte;
    assert_true(arrives(fd, patience()));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void test_a_guest_takes_its_vms_along(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    struct actor owners = stage_vm(&house.stage, 1);
    int guest = knock(&house);
    speak_as(&house, guest);
    struct actor guests = stage_vm(&house.stage, 1);
    expect_alive(&house.stage);
    close(guest);
    jailer_expect(&house.stage, JW_KILL, guests.vm);
    speak_as(&house, house.owner);
    expect_alive(&house.stage);
    jailer_death(&house.stage, guests.vm, CLD_KILLED, SIGKILL);
    vm_close(&guests);
    expect_alive(&house.stage); /* which did not hear of that death */
    client_note(&house.stage, CTL_KILL, owners.vm, SIGKILL);
    jailer_expect(&house.stage, JW_KILL, owners.vm);
    jailer_death(&house.stage, owners.vm, CLD_KILLED, SIGKILL);
    vm_close(&owners);
    client_death(&house.stage, owners.vm, RECORD_KILLED, 137);
    house_end(&house);
}

/* Each hears of its own, whoever asks meanwhile. */
static void test_answers_go_to_whom_they_belong(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    struct actor owners = stage_vm(&house.stage, 1);
    int guest = knock(&house);
    speak_as(&house, guest);
    uint32_t asked = client_note(&house.stage, CTL_STATS, owners.vm, 0);
    jailer_expect(&house.stage, JW_STATS, owners.vm);
    int ends[2];
    attach(&house.stage, &owners, &ends[0], &ends[1]);
    bx_close_all(ends, 2);
    speak_as(&house, house.owner);
    uint32_t too = client_note(&house.stage, CTL_STATS, owners.vm, 0);
    expect_alive(&house.stage);
    assert_int_equal(write(owners.out, "x", 1), 1);
    client_expect(&house.stage, CTL_OUTPUT, 0);
    jailer_say(&house.stage, (struct jw_reply){.type = JW_STATISTICS, .vm = owners.vm});
    client_expect(&house.stage, CTL_STATISTICS, too);
    speak_as(&house, guest);
    client_expect(&house.stage, CTL_STATISTICS, asked);
    close(guest);
    vm_close(&owners);
    house_end(&house);
}

/* A client that is gone gets no answer, and nobody else gets it. */
static void test_an_answer_that_nobody_waits_for(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    struct actor owners = stage_vm(&house.stage, 1);
    int guest = knock(&house);
    speak_as(&house, guest);
    client_note(&house.stage, CTL_STATS, owners.vm, 0);
    jailer_expect(&house.stage, JW_STATS, owners.vm);
    close(guest);
    speak_as(&house, house.owner);
    expect_alive(&house.stage);
    jailer_say(&house.stage, (struct jw_reply){.type = JW_STATISTICS, .vm = owners.vm});
    jailer_say(&house.stage, (struct jw_reply){.type = JW_STATISTICS, .vm = owners.vm});
    expect_alive(&house.stage);
    vm_close(&owners);
    house_end(&house);
}

/* Of a guest that prints to nobody, and does not read, at its end: the VM's last words keep nobody. */
static void test_a_guest_that_does_not_read(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    int guest = knock(&house);
    speak_as(&house, guest);
    struct actor guests = stage_vm(&house.stage, 0);
    static char text[16384];
    assert_int_equal(fcntl(guests.out, F_SETFL, O_NONBLOCK), 0);
    struct pollfd full = {guests.out, POLLOUT, 0};
    while (poll(&full, 1, 100) == 1)
        (void)!write(guests.out, text, sizeof text);
    jailer_death(&house.stage, guests.vm, CLD_EXITED, 0);
    speak_as(&house, house.owner);
    expect_alive(&house.stage);
    close(guest);
    vm_close(&guests);
    speak_as(&house, knock(&house));
    client_refused(&house.stage, client_note(&house.stage, CTL_STATS, guests.vm, 0), ESRCH);
    close(house.stage.control);
    house_end(&house);
}

static void test_only_the_owner_listens(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    int guest = knock(&house), fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    speak_as(&house, guest);
    ask_to_listen(&house, fd);
    expect_end_of(guest);
    close(fd);
    close(guest);
    speak_as(&house, house.owner);
    expect_alive(&house.stage);
    house_end(&house);
}

/* Garbage ends its speaker alone. */
static void test_a_guest_of_bad_manners(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    for (int i = 0; i < 300; i++) { /* more than there may be at a time: each has gone when the next comes */
        int guest = knock(&house);
        assert_int_equal(write(guest, "garbage", 7), 7);
        expect_end_of(guest);
        close(guest);
    }
    expect_alive(&house.stage);
    house_end(&house);
}

static void test_a_full_house(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    int guests[LISTENER_CLIENTS_MAX - 1];
    for (unsigned i = 0; i < LISTENER_CLIENTS_MAX - 1; i++)
        guests[i] = knock(&house);
    int late = knock(&house);
    speak_as(&house, late);
    client_refused(&house.stage, 0, EUSERS);
    expect_end_of(late);
    close(late);
    bx_close_all(guests, LISTENER_CLIENTS_MAX - 1);
    speak_as(&house, house.owner);
    expect_alive(&house.stage);
    house_end(&house);
}

/* Another user is told so. The kernel says who he is, not he. */
static void test_a_stranger(void **state)
{
    (void)state;
    struct house house;
    house_begin(&house);
    house.stage.manager.user = geteuid() + 1;
    int guest = knock(&house);
    speak_as(&house, guest);
    if (geteuid() == 0) {
        expect_alive(&house.stage); /* root is welcome everywhere */
    } else {
        client_refused(&house.stage, 0, EACCES);
        expect_end_of(guest);
    }
    close(guest);
    house_end(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_a_guest_takes_its_vms_along),
        STAGED(test_answers_go_to_whom_they_belong),
        STAGED(test_an_answer_that_nobody_waits_for),
        STAGED(test_a_guest_that_does_not_read),
        STAGED(test_only_the_owner_listens),
        STAGED(test_a_guest_of_bad_manners),
        STAGED(test_a_full_house),
        STAGED(test_a_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
