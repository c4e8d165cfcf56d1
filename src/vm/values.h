/*
 * values.h - Lua values to the bytes of common/values.h and back.
 */
#ifndef BX_VM_VALUES_H
#define BX_VM_VALUES_H

#include <lua.h>
#include <stdint.h>

#include "common/values.h"

/* Writes `count` values that begin at stack index `first` (absolute). Returns 0, or out->error, or -EINVAL with a
 * message pushed that says which value cannot cross. May raise an error for memory. */
int vm_values_write(lua_State *L, struct bx_values *out, int first, int count);

/* Pushes the values of checked bytes, in which there are `tables` tables, and returns how many. Raises an error for
 * memory, and for more values than a stack holds. */
int vm_values_push(lua_State *L, const char *bytes, int64_t tables);

#endif
