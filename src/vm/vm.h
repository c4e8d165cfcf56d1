/*
 * vm.h - the parts of bioxen-vm and what they share: one process, one Lua state, one program.
 *
 * The order is the security: open (libraries, while system calls are free), lock (main.c), serve (the first
 * byte of the script is read behind the filter).
 */
#ifndef BX_VM_VM_H
#define BX_VM_VM_H

#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/jail_wire.h"
#include "common/lifeline.h"
#include "common/program.h"
#include "heap.h"

/* How the script ended, as far as it is known. The texts are cut: a script chooses how long its errors are. */
struct vm_report {
    enum lw_outcome outcome;
    int status; /* of exit */
    uint32_t message_length, traceback_length;
    char message[BX_MESSAGE_MAX];
    char traceback[BX_MESSAGE_MAX];
};

/* Why the running call is to end. */
enum vm_interrupt { VM_GOES_ON = 0, VM_INTERRUPTED, VM_TIMED_OUT };

struct vm_session;
struct vm_mail;
struct mail_peer;
struct mail_message;

struct vm {
    struct vm_heap heap; /* first: it is the allocator's argument, from which vm_of finds the rest */
    enum jw_profile profile;
    bool networked;              /* its filter knows sockets */
    lua_State *L;
    lua_State *volatile running; /* the thread whose code runs; NULL: none that could be interrupted */
    volatile sig_atomic_t called; /* something may have come over the lifeline */
    int closes;                  /* coroutine.close within coroutine.close */
    enum lw_mode mode;
    bool serving;                /* LW_SERVE or LW_RUN, from the time when it can */
    char name[BX_NAME_MAX + 1];
    struct vm_mail *mail;        /* once the script wants messages */
    lua_State *caller;           /* on which calls of sessions run; NULL: on L */
    bool stopping;               /* LW_STOP has come */
    bool busy;                   /* a script or call runs, or is about to */
    uint64_t session_number, call; /* which; both 0: the script */
    enum vm_interrupt interrupted;
    bool noted;                  /* where it was then is in the report */
    unsigned unwind_named, unwind_any; /* interrupts that wait for LW_UNWOUND: by name, and of whatever runs */
    unsigned unheard;            /* answers to LW_NEED that nobody waits for any more */
    struct vm_session *listener; /* hears what is printed, or NULL */
    struct vm_session *sessions[BX_SESSIONS_MAX];
    unsigned session_count;
    bool closing;      /* lua_close runs: finalizers may still call os.exit */
    bool warn_on;      /* warn("@on") */
    bool warn_goes_on; /* the next piece belongs to the same warning */
    struct program program;
    struct vm_report report;
};

/* The VM of a state. The allocator's argument is out of every script's reach, unlike the registry. */
struct vm *vm_of(lua_State *L);

/* ---- state.c: the state and its libraries ---- */

/* Makes a zeroed VM's Lua state and opens the libraries of the profile. Returns 0 or -errno. */
int vm_open(struct vm *vm, enum jw_profile profile, struct bx_error *err);

/* ---- serve.c: from the lifeline's point of view ---- */

/* Says that it is ready, waits for the program, runs it, says how it ended, ends the process. */
void vm_serve(struct vm *vm) __attribute__((noreturn));

/* Ends the process with the report as it is. Output is written out before. */
void vm_finish(struct vm *vm) __attribute__((noreturn));

/* Sends one frame. Returns 0 or -errno. */
int vm_tell(const struct lw_frame *frame);

/* The same, but waits for room: for what bioxend counts on. */
void vm_tell_surely(const struct lw_frame *frame);

/* Waits for the next frame; its texts stay until the next call. `fd` is the descriptor that came with it, or
 * -1, and the caller's. Returns when there is one: the end of file ends the process. */
void vm_hear(struct lw_frame *frame, int *fd);

/* The same without waiting: returns whether there was one. */
bool vm_hear_now(struct lw_frame *frame, int *fd);

/* ---- ask.c ---- */

/* Sends an LW_NEED and waits for its answer, whose texts stay until the next frame; `fd` is as in vm_hear. Returns 0,
 * -EINTR when the running call is to end instead, or what vm_tell does. */
int vm_ask(struct vm *vm, const struct lw_frame *question, struct lw_frame *answer, int *fd);

/* ---- interrupt.c: what comes over the lifeline while something runs ---- */

/* Before the filter: a frame on the lifeline is to raise a signal. It is ignored until vm_interrupt_install. */
int vm_interrupt_prepare(struct bx_error *err);

/* A serving VM: the signal is heard from now on. What came before is taken at once. */
void vm_interrupt_install(struct vm *vm);

/* Takes every frame that has come and is not an answer to LW_NEED. Cheap when there is none. */
void vm_attend(struct vm *vm);

/* Takes a frame of a serving VM. False: it is an answer to LW_NEED, and the caller's. */
bool vm_take(struct vm *vm, const struct lw_frame *frame, int fd);

/* The thread `L` runs from here on. */
void vm_runs(lua_State *L);

/* The script (0, 0) or a call is the one that interrupts are about, from here to vm_end, which answers them. */
void vm_begin(struct vm *vm, uint64_t session, uint64_t call);
void vm_end(struct vm *vm);

/* Between these two its code runs on that thread, and an interrupt is an error in it: not enough memory, as far as
 * Lua can tell; what it is, and where, is in the report. */
void vm_enter(struct vm *vm, lua_State *L);
void vm_leave(struct vm *vm, lua_State *L);

/* A script that waits stands aside for a call, from here to vm_stand_back, if one runs. */
struct vm_aside {
    bool busy;
    lua_State *running;
    unsigned unwind_named, unwind_any;
};
void vm_stand_aside(struct vm *vm, struct vm_aside *aside);
void vm_stand_back(struct vm *vm, const struct vm_aside *aside);

/* Raises the error of the call that is interrupted. */
void vm_interrupt_now(lua_State *L) __attribute__((noreturn));

/* Flushes the sessions if the thread is still running after that many instructions. */
void vm_flush_after(lua_State *L, int instructions);

/* Closes what require has opened (modules.c): called while an interrupt's error goes up, which the next one spares. */
int vm_on_module_loaded(lua_State *L);

/* ---- wait.c ---- */

/* The most descriptors that a caller may wait for. */
#define VM_WAIT_MAX 1000

/*
 * As poll(2), but attends to everything else meanwhile: -1 with EINTR when there was something of that, so that the
 * caller looks at the time again. Raises an error when the running call is to end.
 */
int vm_wait(struct vm *vm, struct pollfd *fds, nfds_t count, int timeout_ms);

/* ---- mail.c: messages (mail.h) ---- */

/* From now on messages are taken in; further calls do nothing. Returns 0 or -errno. */
int vm_mail_open(struct vm *vm);

/* What it is to be polled for, and when at the latest. Returns how many descriptors that is. */
unsigned vm_mail_prepare(struct vm_mail *mail, struct pollfd *fds, unsigned max, int *timeout_ms);
void vm_mail_attend(struct vm_mail *mail, const struct pollfd *fds);

/* The next message, taken out, and whose it is; NULL: there is none. Or it is put back, as if it had not been. */
struct mail_message *vm_mail_next(struct vm_mail *mail, struct mail_peer **from);
void vm_mail_put_back(struct vm_mail *mail, struct mail_peer *peer, struct mail_message *message);

/* Before the end: what was sent and not taken has its last chance; not for long. */
void vm_mail_drain(struct vm *vm);

/* Is there a message to be received? */
bool vm_mail_waits(const struct vm *vm);

/* Why a peer cannot be reached, in words. */
const char *vm_mail_why(int why);

/* ---- output.c: what is printed ---- */

/* Standard streams that go to the pipes and, while a call runs, to its session too. Before anything was printed. */
int vm_output_open(struct vm *vm, struct bx_error *err);

/* ---- session.c: clients ---- */

/* Steals `fd`. A session that cannot be taken on is closed, and said to be. */
void vm_session_add(struct vm *vm, uint64_t number, int fd);

/* A call that is not running: if it comes later it is not begun. */
void vm_session_cancel(struct vm *vm, uint64_t number, uint64_t call, enum vm_interrupt why);

/* Serves until vm->stopping. */
void vm_sessions_serve(struct vm *vm);

/* What sessions are to be polled for; they are not to be waited for when a request is there already. Returns how many
 * descriptors that is, at most BX_SESSIONS_MAX. */
unsigned vm_sessions_prepare(struct vm *vm, struct pollfd *polled, int *timeout_ms);

/* Serves them, each in turn; what came of the former. */
void vm_sessions_attend(struct vm *vm, const struct pollfd *polled, unsigned count);

/* Has a client something to be served? And what to poll to hear of it, as many as sessions_prepare has. */
bool vm_sessions_want(struct vm *vm);
unsigned vm_sessions_watch(const struct vm *vm, struct pollfd *polled);

/* As vm_heap_realloc, but the garbage of the script makes room. `owner` is the VM. */
void *vm_grow(void *owner, void *block, size_t old_size, size_t new_size);

/* Printed bytes go to the session whose call runs. */
void vm_session_print(struct vm *vm, int stream, const char *bytes, size_t length);

/* Before something that may take long: answers that are ready do not wait for it. */
void vm_sessions_flush(struct vm *vm);

/* The last chance of what was not sent yet; waits for slow readers, but not long. */
void vm_sessions_drain(struct vm *vm);

/* ---- coroutine.c ---- */

int vm_lua_resume(lua_State *L);
int vm_lua_wrap(lua_State *L);
int vm_lua_close(lua_State *L);

/* ---- run.c: the script ---- */

/* Runs the text behind `fd` (at its start, `length` bytes) and fills the report. */
void vm_run(struct vm *vm, int fd, uint64_t length);

/* Closes the state, once. */
void vm_close(struct vm *vm);

/* Pushes what lua(1) would print for an error object: itself if that is a string or number, what its __tostring says
 * (returns false then: such an object has no traceback there), or what kind of value it is. */
bool vm_push_message(lua_State *L, int index);

/* Copies a text of any length into one of the report's, cut. Returns the length of what was kept. */
uint32_t vm_keep(char *to, const char *text, size_t length);

/* os.exit in both profiles: exits the VM, with finalizers if asked to. */
int vm_os_exit(lua_State *L);

/* ---- chunk.c: text becomes functions, binary chunks never do ---- */

/* Loads `length` bytes of text from a descriptor (UINT64_MAX: to the end of the file), as luaL_loadfile does
 * from a file: the mark of UTF-8 and a first line with '#' are skipped when `is_file`. Closes `fd`. Returns
 * what lua_load does; pushes the function or the message. */
int vm_load_fd(lua_State *L, int fd, uint64_t length, const char *chunk, bool is_file);

/* The same for a file by its name, or stdin for NULL. */
int vm_load_file(lua_State *L, const char *file);

int vm_lua_load(lua_State *L);
int vm_lua_loadfile(lua_State *L);
int vm_lua_dofile(lua_State *L);

/* ---- modules.c and package.c: require ---- */

int vm_lua_require(lua_State *L); /* restricted: asks over the lifeline */
int vm_open_package(lua_State *L); /* full: the package library and its require */

/* ---- embedded.c ---- */

/* Puts the modules that this program carries into the table of what is preloaded: LuaSocket only in networked VMs. */
void vm_embed(lua_State *L);

/* ---- runtime.c ---- */

/* The module "bioxen.core", for lua/. */
int vm_open_runtime(lua_State *L);

/* ---- where.c ---- */

/* Puts the top of the stack into the report's traceback, for an error of memory. `ud` is the VM. */
void vm_note_where(void *ud);

/* The same of any thread. */
void vm_note_stack(struct vm *vm, lua_State *L);

/* ---- crash.c ---- */

/* Handlers for faults and refused system calls: they say over the lifeline what happened, and then it does
 * happen. Returns 0 or -errno. */
int vm_crash_install(struct bx_error *err);

#endif
