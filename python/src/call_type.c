/* call_type.c - a call's end as Python sees it, and the handle by which a future cancels its call. */
#include "core.h"

static PyTypeObject *call_type;

struct call_handle {
    PyObject_HEAD
    struct call *call;
    PyObject *core; /* keeps the manager, which the call uses */
};

static struct bioxen_string part(const struct call *call, size_t from, size_t length)
{
    return (struct bioxen_string){call->bytes + from, length};
}

static PyObject *failure(const struct call *call)
{
    struct bioxen_string value_bytes = part(call, 0, call->value_length);
    struct bioxen_string message = part(call, call->value_length, call->message_length);
    struct bioxen_string trace = part(call, call->value_length + call->message_length, call->traceback_length);
    PyObject *value = values_to_python(value_bytes);
    if (value == NULL) { /* an error object that Python cannot hold: the message says what it was */
        PyErr_Clear();
        Py_INCREF(Py_None);
        value = Py_None;
    }
    Py_INCREF(Py_None);
    return raise_made(call->life->name, (int)call->failure, message, trace, value, log_to_python(&call->output),
                      Py_None);
}

static PyObject *plain_failure(const struct call *call, int kind)
{
    struct bioxen_string nothing = {NULL, 0};
    Py_INCREF(Py_None);
    Py_INCREF(Py_None);
    return raise_made(call->life->name, kind, nothing, nothing, Py_None, log_to_python(&call->output), Py_None);
}

PyObject *call_value(struct call *call)
{
    switch (call->state) {
    case CALL_ANSWERED:
        if (call->no_memory)
            return plain_failure(call, CORE_NO_MEMORY);
        if (call->failure != 0)
            return failure(call);
        return values_to_python(part(call, 0, call->value_length));
    case CALL_EXPIRED:
        return plain_failure(call, CORE_EXPIRED);
    default:
        return raise_died(call->life, call);
    }
}

PyObject *call_claim(struct call *call)
{
    return atomic_exchange(&call->future, NULL);
}

/* ---- output as it comes ---- */

static int tell(PyObject *listener, const struct log *news)
{
    const char *at = news->bytes;
    for (size_t i = 0; i < news->run_count; i++) {
        PyObject *result = PyObject_CallFunction(listener, "Iy#", news->runs[i].stream, at,
                                                 (Py_ssize_t)news->runs[i].length);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
        at += news->runs[i].length;
    }
    return 0;
}

/* What the log has beyond `told` is its end. */
static int copy_news(struct call *call, struct log *news)
{
    struct log all;
    pthread_mutex_lock(&call->life->lock);
    uint64_t fresh = call->output.total - call->told;
    call->told = call->output.total;
    int rc = fresh == 0 ? 1 : log_copy(&call->output, &all);
    pthread_mutex_unlock(&call->life->lock);
    if (rc != 0)
        return rc;
    log_keep_last(&all, fresh < all.length ? (size_t)fresh : all.length);
    *news = all;
    return 0;
}

int call_tell_output(struct call *call)
{
    struct log news;
    int rc;
    PyObject *listener = call->listener;
    if (listener == NULL)
        return 0;
    Py_INCREF(listener); /* a cancel() may drop it meanwhile */
    Py_BEGIN_ALLOW_THREADS
    rc = copy_news(call, &news);
    Py_END_ALLOW_THREADS
    if (rc == 0) {
        rc = tell(listener, &news);
        log_fini(&news);
    } else if (rc < 0) {
        PyErr_NoMemory();
    }
    Py_DECREF(listener);
    return rc < 0 ? -1 : 0;
}

/* ---- the handle ---- */

PyObject *call_object(struct call *call, PyObject *core)
{
    struct call_handle *self = PyObject_New(struct call_handle, call_type);
    if (self == NULL)
        return NULL;
    self->call = call_ref(call);
    Py_INCREF(core);
    self->core = core;
    return (PyObject *)self;
}

static PyObject *call_cancel(PyObject *self, PyObject *nothing)
{
    struct call *call = ((struct call_handle *)self)->call;
    (void)nothing;
    if (core_manager(((struct call_handle *)self)->core) == NULL)
        return NULL;
    if (call->cancelled)
        return PyLong_FromLong(CANCEL_BEFORE);
    PyObject *future = call_claim(call);
    if (future == NULL)
        return PyLong_FromLong(CANCEL_LATE);
    call->cancelled = true;
    Py_CLEAR(call->listener);
    Py_BEGIN_ALLOW_THREADS
    life_cancel(call->life, call);
    Py_END_ALLOW_THREADS
    Py_DECREF(future);
    return PyLong_FromLong(CANCEL_DONE);
}

static void call_dealloc(PyObject *self)
{
    struct call_handle *handle = (struct call_handle *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (!((struct core *)handle->core)->manager->forgotten)
        call_unref(handle->call);
    Py_DECREF(handle->core);
    PyObject_Free(self);
    Py_DECREF(type);
}

int call_type_init(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"cancel", call_cancel, METH_NOARGS, "Ends the call: interrupts it when it runs, else when its turn comes."},
        {0},
    };
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)call_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_new, (void *)core_no_new},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "pylua_bioxen_vm._core.Call",
        .basicsize = sizeof(struct call_handle),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    call_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return call_type == NULL ? -1 : PyModule_AddType(module, call_type);
}
