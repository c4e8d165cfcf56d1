/* manager.h - the manager's inside. */
#ifndef BX_CLIENT_MANAGER_H
#define BX_CLIENT_MANAGER_H

#include "bioxen.h"
#include "common/control.h"
#include "common/record.h"
#include "launch.h"

struct kept_frame;

struct bioxen_manager {
    struct launched launched;
    uint32_t last_id;
    struct kept_frame *kept;  /* events that came before a reply, oldest first */
    struct record record;     /* of the last death event: its texts live until the next */
    char frame[BX_FRAME_MAX]; /* the last message: an event's bytes point into it */
};

#endif
