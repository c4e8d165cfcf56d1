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
    free(bytes);
    return 0;
}
