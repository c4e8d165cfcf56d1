/* fuzz_control.c - the control socket: heads and notes, in both directions. */
#include "fuzz.h"

#include "common/control.h"

static void try_note(const char *body, size_t size)
{
    static char message[BX_FRAME_MAX];
    struct ctl_note note, again;
    struct ctl_head head;
    const char *inner;
    if (ctl_decode_note(body, size, &note) != 0)
        return;
    PROMISE(note.length <= size && note.text >= body && note.text + note.length <= body + size);
    size_t length = ctl_encode_note(CTL_KILL, 9, &note, message);
    if (length == 0)
        return; /* a text that is too long for one message */
    PROMISE(ctl_decode_head(message, length, &head, &inner) == 0 && head.id == 9 && head.type == CTL_KILL);
    PROMISE(ctl_decode_note(inner, head.length, &again) == 0);
    PROMISE(again.vm == note.vm && again.number == note.number && again.length == note.length);
    PROMISE(memcmp(again.text, note.text, note.length) == 0);
}

static void try_structs(const char *body, size_t size)
{
    struct ctl_interrupt interrupt;
    struct ctl_statistics statistics;
    if (ctl_decode_interrupt(body, size, &interrupt) == 0)
        PROMISE(memcmp(&interrupt, body, size) == 0 && (interrupt.session == 0) == (interrupt.call == 0) &&
                (interrupt.reason == CTL_BY_TIMEOUT || interrupt.reason == CTL_BY_CLIENT));
    if (ctl_decode_statistics(body, size, &statistics) == 0)
        PROMISE(size == sizeof statistics && memcmp(&statistics, body, size) == 0);
}

/* What is behind a struct ends where the body does. */
static void try_split(const char *body, size_t size)
{
    struct ctl_part part;
    struct ctl_logs logs;
    struct ctl_log log;
    struct ctl_bytes name, rest;
    if (ctl_decode_part(body, size, &part, &rest) == 0)
        PROMISE(part.kind >= CTL_PART_PROGRAM && part.kind <= CTL_PART_APP && rest.bytes + rest.length == body + size);
    if (ctl_decode_logs(body, size, &logs, &rest) == 0)
        PROMISE(logs.follow <= 1 && rest.bytes + rest.length == body + size);
    if (ctl_decode_log(body, size, &log, &name, &rest) == 0)
        PROMISE(log.stream <= 2 && name.bytes + name.length == rest.bytes && rest.bytes + rest.length == body + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ctl_head head;
    const char *body = NULL;
    char *bytes = fuzz_exact(data, size);
    if (ctl_decode_head(bytes, size, &head, &body) == 0) {
        PROMISE(body == bytes + sizeof head && head.length == size - sizeof head);
        try_note(body, head.length);
    }
    try_note(bytes, size);
    try_structs(bytes, size);
    try_split(bytes, size);
    free(bytes);
    return 0;
}
