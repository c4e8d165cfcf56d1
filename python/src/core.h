/*
 * core.h - the extension's head: Python's limited API, and what its Python-facing files share.
 *
 * Built once for every Python from 3.9 on. The files calls.c, dispatcher.c, control.c and log.c know no Python: they
 * run without the GIL.
 */
#ifndef PYBX_CORE_H
#define PYBX_CORE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#include <Python.h>

#include "manager.h"

/* What the Python layer hands in once (set_hooks): its exception class, and how to make one of its errors. */
extern PyObject *core_conversion_error;
extern PyObject *core_error_factory;

/* Kinds of failure beside enum bioxen_failure, as the factory gets them. */
enum {
    CORE_DIED = 100,    /* the VM died, with its record */
    CORE_EXPIRED = 101, /* the call's time was up before its turn came */
    CORE_REFUSED = 102, /* a request to the orchestrator failed: value is the errno */
    CORE_NO_MEMORY = 103, /* the answer did not fit in this process */
    CORE_LEFT = 105,    /* a topology's VM has ended, or was restarted */
    CORE_FORGOTTEN = 104, /* the manager belongs to the process that this one was forked from */
};

/* What Call.cancel did: it cancelled; somebody had before; it came too late. */
enum { CANCEL_DONE, CANCEL_BEFORE, CANCEL_LATE };

/* ---- values (values_put.c, values_read.c) ---- */

/* Writes the items of a tuple. Returns 0, or -1 with a Python exception. */
int values_from_python(PyObject *arguments, bioxen_values *out);

/* None for no value, the value for one, a tuple for several. NULL with a Python exception. */
PyObject *values_to_python(struct bioxen_string bytes);

/* ---- Python's view of the rest ---- */

/* A manager: `manager` is NULL once it is freed. */
struct core {
    PyObject_HEAD
    struct manager *manager;
};

/* NULL with an exception when it is closed, or its process was another one. */
struct manager *core_manager(PyObject *core);

/* tp_new of types that only this module makes objects of. */
PyObject *core_no_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords);

/* core.open(directory or None), core.join(path or None) */
PyObject *core_open(PyObject *module, PyObject *directory);
PyObject *core_join(PyObject *module, PyObject *path);

/* ---- topology files (topology.c) ---- */

/* core.check(where, joins, (text, name, directory, environment)) */
PyObject *core_check(PyObject *module, PyObject *arguments);

/* What a capsule of core.check holds. NULL with an exception. */
const bioxen_checked *topology_checked(PyObject *capsule);

/* Takes a file out of its tuple, which outlives it. -1 with an exception; else topology_free_file is to be called. */
int topology_take_file(PyObject *from, struct bioxen_topology_file *file);
void topology_free_file(struct bioxen_topology_file *file);

/* ---- topologies that are up (fleet.c) ---- */

enum about { ABOUT_DOWN, ABOUT_VMS, ABOUT_TOPOLOGIES, ABOUT_DEATHS, ABOUT_VM, ABOUT_STATS, ABOUT_LOGS,
             ABOUT_START, ABOUT_STOP, ABOUT_RESTART, ABOUT_KILL };

PyObject *core_up(PyObject *self, PyObject *arguments);
PyObject *core_about(PyObject *self, PyObject *arguments);
PyObject *core_follow(PyObject *self, PyObject *nothing);
PyObject *core_take(PyObject *self, PyObject *arguments);

/* As Python's objects; frees it. */
PyObject *topology_value(bioxen_values *value);

int core_type_init(PyObject *module);
int life_type_init(PyObject *module);
int call_type_init(PyObject *module);

/* Creates a VM and attaches to it: Core.create. */
PyObject *life_create(PyObject *core, PyObject *arguments);

/* A life's handle; takes a reference of its own. */
PyObject *life_object(struct life *life, PyObject *core);

/*
 * Waits for the orchestrator's answer; NULL: it could not even be asked, for *err. Returns 0; or -1 with an exception,
 * a signal's or what the answer says, and then the waiter is dropped. ESRCH can be fine.
 */
int await_answer(struct manager *manager, struct waiter *waiter, struct life *life, const struct bioxen_error *err,
                 bool gone_is_fine);

/* A handle for a call that was submitted. */
PyObject *call_object(struct call *call, PyObject *core);

/* Whoever gets the future, with its reference, ends it: the dispatcher or cancel(); NULL: somebody did before. */
PyObject *call_claim(struct call *call);

/* The value that a call returned, or NULL with the exception that stands for its failure. */
PyObject *call_value(struct call *call);

/* Calls listener(stream, bytes) with what came since the last time. -1 with an exception. */
int call_tell_output(struct call *call);

/* [(stream, bytes), ...] */
PyObject *log_to_python(const struct log *log);

/* A death record as a dict; None for NULL (errors.c). */
PyObject *record_to_python(const struct bioxen_record *record);

/* Raises what stands for a request that failed. Returns NULL. */
PyObject *raise_refused(const char *name, const struct bioxen_error *err);

/* Is the call of one whose VM died: raises with its record. Returns NULL. */
PyObject *raise_died(struct life *life, const struct call *call);

/* Calls the factory and raises what it makes. Returns NULL. Takes its references to value and output. */
PyObject *raise_made(const char *name, int kind, struct bioxen_string message, struct bioxen_string traceback,
                     PyObject *value, PyObject *output, PyObject *record);

#endif
