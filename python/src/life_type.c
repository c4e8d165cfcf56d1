/*
 * life_type.c - one incarnation of a VM as Python sees it: execute, submit, stats, logs, interrupt, kill, stop. The GIL
 * is let go of wherever something may wait.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "core.h"

static PyTypeObject *life_type;

/* How long a VM whose session has ended may take to be reported dead, before and after it is killed for it. */
#define DEATH_US UINT64_C(2000000)
#define KILL_US UINT64_C(10000000)

struct life_handle {
    PyObject_HEAD
    struct life *life;
    PyObject *core;
};

PyObject *life_object(struct life *life, PyObject *core)
{
    struct life_handle *self = PyObject_New(struct life_handle, life_type);
    if (self == NULL)
        return NULL;
    self->life = life_ref(life);
    Py_INCREF(core);
    self->core = core;
    return (PyObject *)self;
}

/* NULL with an exception when its manager is another process's. */
static struct life *life_of(PyObject *self)
{
    struct life_handle *handle = (struct life_handle *)self;
    struct manager *manager = ((struct core *)handle->core)->manager;
    if (!manager->forgotten)
        return handle->life;
    return core_manager(handle->core), NULL;
}

/* ---- what a call needs ---- */

struct request {
    int kind;
    PyObject *text, *arguments, *timeout, *listener, *future;
    PyObject *encoded;      /* owned: the text's bytes when it was a str */
    bioxen_values *values;  /* owned; NULL: no arguments */
    struct bioxen_string text_bytes, value_bytes;
};

/* One buffer is kept between calls, unless it is larger: fresh memory costs more than the copy. The GIL guards it. */
static bioxen_values *spare;

#define SPARE_MAX (4u * 1024 * 1024)

static bioxen_values *take_values(void)
{
    bioxen_values *values = spare;
    spare = NULL;
    if (values == NULL)
        return bioxen_values_new();
    bioxen_values_clear(values);
    return values;
}

static void give_values_back(bioxen_values *values, size_t used)
{
    if (values == NULL)
        return;
    if (spare == NULL && used <= SPARE_MAX)
        spare = values;
    else
        bioxen_values_free(values);
}

static void request_fini(struct request *request)
{
    give_values_back(request->values, request->value_bytes.length);
    Py_XDECREF(request->encoded);
}

static int encode_text(struct request *request)
{
    char *at;
    Py_ssize_t length;
    PyObject *bytes = request->text;
    if (!PyBytes_Check(bytes)) {
        if (!PyUnicode_Check(bytes)) {
            PyErr_SetString(PyExc_TypeError, "code is a str or bytes");
            return -1;
        }
        bytes = request->encoded = PyUnicode_AsUTF8String(bytes);
    }
    if (bytes == NULL || PyBytes_AsStringAndSize(bytes, &at, &length) != 0)
        return -1;
    request->text_bytes = (struct bioxen_string){at, (size_t)length};
    return 0;
}

static int encode_arguments(struct request *request)
{
    if (PyTuple_Size(request->arguments) == 0)
        return 0;
    request->values = take_values();
    if (request->values == NULL)
        return PyErr_NoMemory(), -1;
    if (values_from_python(request->arguments, request->values) != 0)
        return -1;
    switch (bioxen_values_bytes(request->values, &request->value_bytes)) {
    case 0:
        return 0;
    case -E2BIG:
        PyErr_Format(core_conversion_error, "the arguments take more than %u MiB", BIOXEN_VALUES_MAX >> 20);
        return -1;
    default:
        return PyErr_NoMemory(), -1;
    }
}

static int encode(struct request *request)
{
    return encode_text(request) == 0 && encode_arguments(request) == 0 ? 0 : -1;
}

static int set_deadline(struct call *call, PyObject *timeout)
{
    if (timeout == Py_None)
        return 0;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred())
        return -1;
    if (seconds < 1e9) /* thirty years are none */
        call->deadline_us = now_us() + (uint64_t)(seconds > 0 ? seconds * 1e6 : 0);
    return 0;
}

static struct call *make_call(struct life *life, const struct request *request)
{
    struct call *call = call_new(life);
    if (call == NULL)
        return PyErr_NoMemory(), NULL;
    if (set_deadline(call, request->timeout) != 0) {
        call_unref(call);
        return NULL;
    }
    if (request->listener != Py_None) {
        call->listens = true;
        call->listener = request->listener;
    }
    return call;
}

/* ---- waiting for a death ---- */

/* Returns 1 when it is dead, 0 when the time is up, -1 with an exception (a signal's). */
static int wait_dead(struct life *life, uint64_t until_us)
{
    for (;;) {
        bool dead;
        Py_BEGIN_ALLOW_THREADS
        dead = life_wait_dead(life, until_us);
        Py_END_ALLOW_THREADS
        if (dead)
            return 1;
        if (PyErr_CheckSignals() != 0)
            return -1;
        if (now_us() >= until_us)
            return 0;
    }
}

/* The session has ended: its VM is dead, or is killed for it, since it must not have closed it. */
static int settle_death(struct life *life)
{
    int rc = wait_dead(life, now_us() + DEATH_US);
    if (rc != 0)
        return rc;
    Py_BEGIN_ALLOW_THREADS
    life_kill(life, 0);
    Py_END_ALLOW_THREADS
    return wait_dead(life, now_us() + KILL_US);
}

static PyObject *died(struct life *life, const struct call *call)
{
    if (settle_death(life) < 0)
        return NULL;
    return raise_died(life, call);
}

/* ---- execute ---- */

static PyObject *send_failed(struct life *life, int rc, const struct bioxen_error *err)
{
    if (rc == -EPIPE)
        return died(life, NULL);
    if (rc == -ENOMEM)
        return PyErr_NoMemory();
    if (rc == -E2BIG)
        return PyErr_Format(core_conversion_error, "the code and its arguments take more than %u MiB",
                            BIOXEN_VALUES_MAX >> 20);
    return raise_refused(life->name, err);
}

/* Somebody has to see to the call's end, since its caller does no more. */
static PyObject *walk_away(struct life *life, struct call *call)
{
    Py_BEGIN_ALLOW_THREADS
    life_cancel(life, call);
    Py_END_ALLOW_THREADS
    return NULL;
}

static PyObject *wait_for(struct life *life, struct call *call)
{
    for (;;) {
        enum wait_end end;
        Py_BEGIN_ALLOW_THREADS
        end = life_wait(life, call);
        Py_END_ALLOW_THREADS
        if (end == WAIT_SIGNAL && PyErr_CheckSignals() != 0)
            return walk_away(life, call);
        if (call->listens && call_tell_output(call) != 0)
            return walk_away(life, call);
        if (end == WAIT_DONE)
            return call->state == CALL_LOST ? died(life, call) : call_value(call);
    }
}

static PyObject *run(struct life *life, struct request *request)
{
    struct bioxen_error err = {0};
    struct call *call = make_call(life, request);
    if (call == NULL)
        return NULL;
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = life_send(life, call, (enum bioxen_call)request->kind, request->text_bytes, request->value_bytes, &err);
    Py_END_ALLOW_THREADS
    PyObject *value = rc == 0 ? wait_for(life, call) : send_failed(life, rc, &err);
    call_unref(call);
    return value;
}

static PyObject *life_execute(PyObject *self, PyObject *arguments)
{
    struct request request = {0};
    struct life *life = life_of(self);
    if (life == NULL || !PyArg_ParseTuple(arguments, "iOO!OO", &request.kind, &request.text, &PyTuple_Type,
                                          &request.arguments, &request.timeout, &request.listener))
        return NULL;
    PyObject *value = encode(&request) == 0 ? run(life, &request) : NULL;
    request_fini(&request);
    return value;
}

/* ---- submit ---- */

static PyObject *submit(PyObject *self, struct life *life, struct request *request)
{
    struct bioxen_error err = {0};
    struct call *call = make_call(life, request);
    PyObject *handle = call == NULL ? NULL : call_object(call, ((struct life_handle *)self)->core);
    if (handle == NULL) {
        call_unref(call);
        return NULL;
    }
    int rc;
    call->detached = true;
    Py_INCREF(request->future);
    call->future = request->future;
    Py_XINCREF((PyObject *)call->listener);
    Py_BEGIN_ALLOW_THREADS
    rc = life_send(life, call, (enum bioxen_call)request->kind, request->text_bytes, request->value_bytes, &err);
    Py_END_ALLOW_THREADS
    if (rc != 0) {
        Py_XDECREF(call_claim(call));
        Py_XDECREF((PyObject *)call->listener);
        call->listener = NULL;
        Py_DECREF(handle);
        handle = send_failed(life, rc, &err);
    }
    call_unref(call);
    return handle;
}

static PyObject *life_submit(PyObject *self, PyObject *arguments)
{
    struct request request = {0};
    struct life *life = life_of(self);
    if (life == NULL ||
        !PyArg_ParseTuple(arguments, "iOO!OOO", &request.kind, &request.text, &PyTuple_Type, &request.arguments,
                          &request.timeout, &request.listener, &request.future))
        return NULL;
    PyObject *handle = encode(&request) == 0 ? submit(self, life, &request) : NULL;
    request_fini(&request);
    return handle;
}

/* ---- waiting for the orchestrator's answers ---- */

int await_answer(struct manager *manager, struct waiter *waiter, struct life *life, const struct bioxen_error *err,
                 bool gone_is_fine)
{
    const char *name = life != NULL ? life->name : "";
    if (waiter == NULL)
        return raise_refused(name, err), -1;
    for (;;) {
        int rc;
        Py_BEGIN_ALLOW_THREADS
        rc = waiter_wait(waiter);
        Py_END_ALLOW_THREADS
        if (rc == 0)
            break;
        if (PyErr_CheckSignals() != 0) {
            waiter_drop(manager, waiter, false);
            return -1;
        }
    }
    if (waiter->error.code == 0 || (gone_is_fine && waiter->error.code == ESRCH))
        return 0;
    raise_refused(name, &waiter->error);
    waiter_drop(manager, waiter, true);
    return -1;
}

static PyObject *life_stats(PyObject *self, PyObject *nothing)
{
    struct life *life = life_of(self);
    (void)nothing;
    if (life == NULL)
        return NULL;
    struct bioxen_error err = {0};
    struct waiter *waiter;
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_stats(life->manager, life, &err);
    Py_END_ALLOW_THREADS
    if (await_answer(life->manager, waiter, life, &err, false) != 0)
        return NULL;
    const struct bioxen_stats stats = waiter->stats;
    waiter_drop(life->manager, waiter, true);
    return Py_BuildValue("(IddKKK)", stats.sessions, (double)stats.uptime_us / 1e6, (double)stats.cpu_us / 1e6,
                         (unsigned long long)stats.memory, (unsigned long long)stats.memory_peak,
                         (unsigned long long)stats.output_bytes);
}

/* Its address, IPv4 in host order. */
static PyObject *life_network(PyObject *self, PyObject *nothing)
{
    struct life *life = life_of(self);
    (void)nothing;
    if (life == NULL)
        return NULL;
    struct bioxen_error err = {0};
    struct waiter *waiter;
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_network(life->manager, life, &err);
    Py_END_ALLOW_THREADS
    if (await_answer(life->manager, waiter, life, &err, false) != 0)
        return NULL;
    const uint32_t address = waiter->address;
    waiter_drop(life->manager, waiter, true);
    return PyLong_FromUnsignedLong(address);
}

/* ---- the rest ---- */

static PyObject *life_logs(PyObject *self, PyObject *nothing)
{
    struct life *life = life_of(self);
    struct log copy;
    int rc;
    (void)nothing;
    if (life == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&life->lock);
    rc = log_copy(&life->log, &copy);
    pthread_mutex_unlock(&life->lock);
    Py_END_ALLOW_THREADS
    if (rc != 0)
        return PyErr_NoMemory();
    PyObject *list = log_to_python(&copy);
    log_fini(&copy);
    return list;
}

static PyObject *life_interrupt_(PyObject *self, PyObject *nothing)
{
    struct life *life = life_of(self);
    (void)nothing;
    if (life == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    life_interrupt(life);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *life_kill_(PyObject *self, PyObject *nothing)
{
    struct life *life = life_of(self);
    (void)nothing;
    if (life == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    life_kill(life, 0);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *life_stop(PyObject *self, PyObject *arguments)
{
    struct life *life = life_of(self);
    struct bioxen_error err = {0};
    double grace;
    int rc;
    if (life == NULL || !PyArg_ParseTuple(arguments, "d", &grace))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    rc = life_ask_to_stop(life, (unsigned)(grace * 1000), &err);
    Py_END_ALLOW_THREADS
    if (rc != 0)
        return raise_refused(life->name, &err);
    Py_RETURN_NONE;
}

static PyObject *life_wait_(PyObject *self, PyObject *arguments)
{
    struct life *life = life_of(self);
    double seconds;
    if (life == NULL || !PyArg_ParseTuple(arguments, "d", &seconds))
        return NULL;
    int rc = wait_dead(life, now_us() + (uint64_t)(seconds * 1e6));
    return rc < 0 ? NULL : PyBool_FromLong(rc);
}

static PyObject *get_serial(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(((struct life_handle *)self)->life->serial);
}

/* Needs no lock: a death is told once, and the record is there before. */
static bool is_dead(struct life *life)
{
    bool dead;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&life->lock);
    dead = life->dead;
    pthread_mutex_unlock(&life->lock);
    Py_END_ALLOW_THREADS
    return dead;
}

static PyObject *get_dead(PyObject *self, void *closure)
{
    struct life *life = life_of(self);
    (void)closure;
    if (life == NULL)
        return NULL;
    if (life->foreign)
        life_look(life);
    return PyBool_FromLong(is_dead(life));
}

static PyObject *get_record(PyObject *self, void *closure)
{
    struct life *life = life_of(self);
    (void)closure;
    return life == NULL ? NULL : record_to_python(is_dead(life) ? life->record : NULL);
}

static void life_dealloc(PyObject *self)
{
    struct life_handle *handle = (struct life_handle *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (!((struct core *)handle->core)->manager->forgotten)
        life_unref(handle->life);
    Py_DECREF(handle->core);
    PyObject_Free(self);
    Py_DECREF(type);
}

int life_type_init(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"execute", life_execute, METH_VARARGS, "execute(kind, text, arguments, timeout, listener): sends and waits."},
        {"submit", life_submit, METH_VARARGS,
         "submit(kind, text, arguments, timeout, listener, future): sends; Core.dispatch has the end."},
        {"stats", life_stats, METH_NOARGS, "What the VM uses now."},
        {"network", life_network, METH_NOARGS, "Connects it to the private network, if it is not: its address."},
        {"logs", life_logs, METH_NOARGS, "What it printed last: [(stream, bytes), ...]."},
        {"interrupt", life_interrupt_, METH_NOARGS, "Interrupts what runs."},
        {"kill", life_kill_, METH_NOARGS, "Asks for its end."},
        {"stop", life_stop, METH_VARARGS, "stop(grace): asks it to close its state and to end."},
        {"wait", life_wait_, METH_VARARGS, "wait(seconds): is it dead within this time?"},
        {0},
    };
    static PyGetSetDef attributes[] = {
        {"serial", get_serial, NULL, "Its number among all of this process.", NULL},
        {"dead", get_dead, NULL, "Is its death known?", NULL},
        {"record", get_record, NULL, "How it died, a dict, or None.", NULL},
        {0},
    };
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)life_dealloc}, {Py_tp_methods, methods}, {Py_tp_getset, attributes},
        {Py_tp_new, (void *)core_no_new},      {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "pylua_bioxen_vm._core.Life",
        .basicsize = sizeof(struct life_handle),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    life_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return life_type == NULL ? -1 : PyModule_AddType(module, life_type);
}
