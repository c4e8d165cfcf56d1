/* fuzz_lifeline.c - frames of the lifeline, as a hostile VM may send them. */
#include "fuzz.h"

#include "common/lifeline.h"

static void check_round_trip(const struct lw_frame *frame, size_t size)
{
    static char bytes[LW_FRAME_MAX];
    struct lw_frame again;
    uint32_t length = lw_encode(frame, bytes);
    PROMISE(length == size);
    PROMISE(lw_decode(bytes, length, &again) == 0);
    PROMISE(again.type == frame->type && again.a == frame->a && again.b == frame->b);
    PROMISE(again.length1 == frame->length1 && memcmp(again.text1, frame->text1, frame->length1) == 0);
    PROMISE(again.length2 == frame->length2 && memcmp(again.text2, frame->text2, frame->length2) == 0);
}

/* A text of peers: what is read lies within it, and is written again as it was. */
static void check_peers(const char *text, uint32_t size)
{
    static char copy[LW_FRAME_MAX];
    struct lw_peer peer;
    const char *name;
    uint32_t at = 0, length = 0;
    while (lw_next_peer(text, size, &at, &peer, &name) == 1) {
        PROMISE(name + peer.name_length == text + at);
        PROMISE(lw_put_peer(&peer, name, copy, sizeof copy, &length) == 0);
        PROMISE(length == at && memcmp(copy, text, at) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lw_frame frame, untouched;
    memset(&frame, 0x5a, sizeof frame);
    untouched = frame;
    void *bytes = fuzz_exact(data, size);
    if (lw_decode(bytes, size, &frame) == 0)
        check_round_trip(&frame, size);
    else
        PROMISE(memcmp(&frame, &untouched, sizeof frame) == 0);
    check_peers(bytes, (uint32_t)(size < LW_FRAME_MAX ? size : LW_FRAME_MAX));
    free(bytes);
    return 0;
}
