/* follow.h - verbs that show what comes until it ends, until Ctrl-C, or until nobody reads. */
#ifndef BX_CLI_FOLLOW_H
#define BX_CLI_FOLLOW_H

#include "remote.h"

/* From here on Ctrl-C and its like end follow_next. The descriptor to wait on, or -1 after a message. */
int follow_arm(void);

/* Returns 1 with an event, 0 when we are told to end, -1 after a message when the orchestrator is gone. */
int follow_next(bioxen_manager *manager, int wake_fd, int timeout_ms, struct bioxen_event *event);

/* What a failed write to standard output means: 141 without a word when nobody reads, else 125 with one. */
int follow_cannot_print(void);

#endif
