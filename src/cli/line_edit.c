/*
 * line_edit.c - a small editor of one line. The terminal is raw only while a line is read: whoever is interrupted
 * elsewhere leaves it as it was.
 */
#include "line_edit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_MAX_BYTES (1u << 20)
#define SEQUENCE_MAX   8u
/* The rest of an escape sequence comes at once; alone, Escape is nothing. */
#define SEQUENCE_MS 50

/* ---- the line ---- */

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static size_t before(const struct line_edit *edit, size_t at)
{
    do
        at -= at > 0;
    while (at > 0 && is_inside_character(edit->bytes[at]));
    return at;
}

static size_t behind(const struct line_edit *edit, size_t at)
{
    do
        at += at < edit->length;
    while (at < edit->length && is_inside_character(edit->bytes[at]));
    return at;
}

static size_t columns(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += !is_inside_character(bytes[i]);
    return count;
}

static bool make_room(struct line_edit *edit, size_t more)
{
    size_t room = 2 * (edit->length + more) + 128;
    if (edit->length + more > LINE_MAX_BYTES)
        return false;
    if (edit->length + more + 1 <= edit->room)
        return true;
    char *bytes = realloc(edit->bytes, room);
    if (bytes == NULL)
        return false;
    edit->bytes = bytes;
    edit->room = room;
    return true;
}

static void insert(struct line_edit *edit, const char *bytes, size_t length)
{
    if (!make_room(edit, length))
        return;
    memmove(edit->bytes + edit->at + length, edit->bytes + edit->at, edit->length - edit->at);
    memcpy(edit->bytes + edit->at, bytes, length);
    edit->length += length;
    edit->at += length;
}

static void cut(struct line_edit *edit, size_t from, size_t to)
{
    memmove(edit->bytes + from, edit->bytes + to, edit->length - to);
    edit->length -= to - from;
    edit->at = from;
}

static void replace(struct line_edit *edit, const char *line)
{
    edit->length = edit->at = 0;
    insert(edit, line, strlen(line));
}

static void cut_word(struct line_edit *edit)
{
    size_t from = edit->at;
    while (from > 0 && edit->bytes[from - 1] == ' ')
        from--;
    while (from > 0 && edit->bytes[from - 1] != ' ')
        from--;
    cut(edit, from, edit->at);
}

static void show_history(struct line_edit *edit, int step)
{
    if ((step < 0 && edit->entry == 0) || (step > 0 && edit->entry >= edit->history_count))
        return;
    edit->entry = step < 0 ? edit->entry - 1 : edit->entry + 1;
    replace(edit, edit->entry < edit->history_count ? edit->history[edit->entry] : "");
}

/* ---- keys ---- */

enum key {
    LEFT = 2,
    INTERRUPT = 3,
    END_OF_FILE = 4,
    END = 5,
    RIGHT = 6,
    BACKSPACE = 8,
    NEWLINE = 10,
    KILL = 11,
    CLEAR = 12,
    RETURN = 13,
    DOWN = 14,
    UP = 16,
    KILL_ALL = 21,
    KILL_WORD = 23,
    HOME = 1,
    DELETE = 127,
    FORWARD_DELETE = 256
};

static int key_of(const char *sequence, size_t length)
{
    static const struct {
        const char *sequence;
        int key;
    } keys[] = {
        {"\033[A", UP},
        {"\033[B", DOWN},
        {"\033[C", RIGHT},
        {"\033[D", LEFT},
        {"\033OA", UP},
        {"\033OB", DOWN},
        {"\033OC", RIGHT},
        {"\033OD", LEFT},
        {"\033[H", HOME},
        {"\033[F", END},
        {"\033OH", HOME},
        {"\033OF", END},
        {"\033[1~", HOME},
        {"\033[7~", HOME},
        {"\033[4~", END},
        {"\033[8~", END},
        {"\033[3~", FORWARD_DELETE},
    };
    if (length == 1)
        return (unsigned char)sequence[0];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i].sequence) == length && memcmp(keys[i].sequence, sequence, length) == 0)
            return keys[i].key;
    return 0;
}

static void move(struct line_edit *edit, int key)
{
    switch (key) {
    case LEFT:
        edit->at = before(edit, edit->at);
        break;
    case RIGHT:
        edit->at = behind(edit, edit->at);
        break;
    case HOME:
        edit->at = 0;
        break;
    case END:
        edit->at = edit->length;
        break;
    case UP:
        show_history(edit, -1);
        break;
    case DOWN:
        show_history(edit, 1);
        break;
    default:
        break;
    }
}

static void change(struct line_edit *edit, int key)
{
    switch (key) {
    case BACKSPACE:
    case DELETE:
        cut(edit, before(edit, edit->at), edit->at);
        break;
    case END_OF_FILE:
    case FORWARD_DELETE: {
        size_t at = edit->at;
        cut(edit, at, behind(edit, at));
        break;
    }
    case KILL:
        edit->length = edit->at;
        break;
    case KILL_ALL:
        cut(edit, 0, edit->at);
        break;
    case KILL_WORD:
        cut_word(edit);
        break;
    case '\t':
        insert(edit, "    ", 4);
        break;
    default:
        move(edit, key);
        break;
    }
}

bool line_edit_key(struct line_edit *edit, const char *sequence, size_t length, enum line_end *end)
{
    int key = key_of(sequence, length);
    if (key == RETURN || key == NEWLINE) {
        *end = LINE_ENTERED;
        return true;
    }
    if (key == INTERRUPT || (key == END_OF_FILE && edit->length == 0)) {
        *end = key == INTERRUPT ? LINE_INTERRUPTED : LINE_EOF;
        return true;
    }
    if (length == 1 && (unsigned char)sequence[0] >= ' ' && key != DELETE)
        insert(edit, sequence, 1);
    else
        change(edit, key);
    return false;
}

/* ---- the terminal ---- */

static size_t terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The line on one row: of a long one that part which has the cursor. */
static void draw(const struct line_edit *edit)
{
    size_t room = terminal_columns(), prompt = columns(edit->prompt, strlen(edit->prompt)), from = 0,
           to = edit->length;
    room = room > prompt + 2 ? room - prompt - 1 : 1;
    while (columns(edit->bytes + from, edit->at - from) > room)
        from = behind(edit, from);
    while (columns(edit->bytes + from, to - from) > room)
        to = before(edit, to);
    size_t right = columns(edit->bytes + edit->at, to - edit->at);
    printf("\r%s%.*s\033[K", edit->prompt, (int)(to - from), edit->bytes + from);
    if (right > 0)
        printf("\033[%zuD", right);
    (void)fflush(stdout);
}

static bool go_raw(struct line_edit *edit)
{
    if (tcgetattr(STDIN_FILENO, &edit->before) != 0)
        return false;
    struct termios raw = edit->before;
    raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* False when a watched descriptor is readable. */
static bool wait_for_key(const struct line_edit *edit)
{
    struct pollfd ready[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = edit->watch[0], .events = POLLIN},
                              {.fd = edit->watch[1], .events = POLLIN}};
    while (poll(ready, 3, -1) < 0 && errno == EINTR)
        ;
    return ready[1].revents == 0 && ready[2].revents == 0;
}

static bool is_whole(const char *sequence, size_t length)
{
    if (sequence[0] != '\033')
        return true;
    if (length < 3)
        return length == 2 && sequence[1] != '[' && sequence[1] != 'O';
    return sequence[1] == 'O' || (sequence[length - 1] >= '@' && sequence[length - 1] <= '~');
}

/* The length of a key's sequence; 0 at the end of the input. */
static size_t read_key(char sequence[SEQUENCE_MAX])
{
    size_t length = 0;
    while (length < SEQUENCE_MAX) {
        struct pollfd more = {.fd = STDIN_FILENO, .events = POLLIN};
        if (length > 0 && (is_whole(sequence, length) || poll(&more, 1, SEQUENCE_MS) == 0))
            break;
        ssize_t got = read(STDIN_FILENO, sequence + length, 1);
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        length += got > 0;
    }
    return length;
}

static enum line_end edit_line(struct line_edit *edit)
{
    char sequence[SEQUENCE_MAX];
    enum line_end end;
    for (;;) {
        draw(edit);
        if (!wait_for_key(edit))
            return LINE_WATCHED;
        size_t length = read_key(sequence);
        if (length == 0)
            return LINE_EOF;
        if (length == 1 && sequence[0] == CLEAR)
            fputs("\033[H\033[2J", stdout);
        if (line_edit_key(edit, sequence, length, &end))
            return end;
    }
}

enum line_end line_edit_read(struct line_edit *edit, const char *prompt)
{
    edit->prompt = prompt;
    edit->length = edit->at = 0;
    edit->entry = edit->history_count;
    if (!make_room(edit, 0) || !go_raw(edit))
        return LINE_EOF;
    enum line_end end = edit_line(edit);
    edit->bytes[edit->length] = '\0';
    tcsetattr(STDIN_FILENO, TCSADRAIN, &edit->before);
    fputs("\r\n", stdout);
    (void)fflush(stdout);
    return end;
}

/* ---- history ---- */

void line_edit_remember(struct line_edit *edit, const char *line)
{
    size_t count = edit->history_count;
    if (line[0] == '\0' || (count > 0 && strcmp(edit->history[count - 1], line) == 0))
        return;
    char *copy = strdup(line);
    if (copy == NULL)
        return;
    if (count == LINE_EDIT_HISTORY) {
        free(edit->history[0]);
        memmove(edit->history, edit->history + 1, (LINE_EDIT_HISTORY - 1) * sizeof *edit->history);
        count = --edit->history_count;
    }
    edit->history[count] = copy;
    edit->history_count++;
}

void line_edit_fini(struct line_edit *edit)
{
    for (size_t i = 0; i < edit->history_count; i++)
        free(edit->history[i]);
    free(edit->bytes);
}
