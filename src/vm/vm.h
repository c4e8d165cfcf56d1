/*
 * vm.h - the parts of bioxen-vm and what they share: one process, one Lua state, one program.
 *
 * The order is the security: open (libraries, while system calls are free), lock (main.c), serve (the first
 * byte of the script is read behind the filter).
 */
#ifndef BX_VM_VM_H
#define BX_VM_VM_H

#include <lua.h>
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

struct vm {
    struct vm_heap heap; /* first: it is the allocator's argument, from which vm_of finds the rest */
    enum jw_profile profile;
    lua_State *L;
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

/* Waits for the next frame; its texts stay until the next call. `fd` is the descriptor that came with it, or
 * -1, and the caller's. Returns when there is one: the end of file ends the process. */
void vm_hear(struct lw_frame *frame, int *fd);

/* ---- run.c: the script ---- */

/* Runs the text behind `fd` (at its start, `length` bytes) and fills the report; the state is closed
 * afterwards. */
void vm_run(struct vm *vm, int fd, uint64_t length);

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

/* ---- where.c ---- */

/* Puts the top of the stack into the report's traceback, for an error of memory. `ud` is the VM. */
void vm_note_where(void *ud);

/* ---- crash.c ---- */

/* Handlers for faults and refused system calls: they say over the lifeline what happened, and then it does
 * happen. Returns 0 or -errno. */
int vm_crash_install(struct bx_error *err);

#endif
