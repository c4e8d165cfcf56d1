/* core_type.c - a manager as Python sees it: the bodies of its two threads, and its end. */
#include "core.h"

static PyTypeObject *core_type;

struct manager *core_manager(PyObject *core)
{
    struct manager *manager = ((struct core *)core)->manager;
    if (!manager->forgotten)
        return manager;
    struct bioxen_string nothing = {NULL, 0};
    Py_INCREF(Py_None);
    Py_INCREF(Py_None);
    raise_made("", CORE_FORGOTTEN, nothing, nothing, Py_None, PyList_New(0), Py_None);
    return NULL;
}

PyObject *core_no_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)type, (void)arguments, (void)keywords;
    PyErr_SetString(PyExc_TypeError, "objects of this type are made by VMManager only");
    return NULL;
}

static PyObject *open_core(open_function *open_library, PyObject *where)
{
    struct bioxen_error err = {0};
    struct manager *manager;
    const char *path = NULL;
    if (where != Py_None && (path = PyBytes_AsString(where)) == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    manager = manager_open(open_library, path, &err);
    Py_END_ALLOW_THREADS
    if (manager == NULL)
        return raise_refused("", &err);
    struct core *core = PyObject_New(struct core, core_type);
    if (core != NULL) {
        core->manager = manager;
        return (PyObject *)core;
    }
    manager_close(manager);
    manager_free(manager);
    return NULL;
}

PyObject *core_open(PyObject *module, PyObject *directory)
{
    (void)module;
    return open_core(bioxen_open_at, directory);
}

PyObject *core_join(PyObject *module, PyObject *path)
{
    (void)module;
    return open_core(bioxen_open_path, path);
}

/* ---- the control thread ---- */

/* (serial, record) of a VM that died, with None for a record when the orchestrator went away; (0, dict) of what
 * happened to a topology; None at the end. */
static PyObject *core_control(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    struct control_news news = {0};
    enum control_end end;
    (void)nothing;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    end = control_run(manager, &news);
    if (end == CONTROL_DEATH || end == CONTROL_GONE)
        life_die(news.life, end == CONTROL_DEATH ? &news.record : NULL);
    Py_END_ALLOW_THREADS
    if (end == CONTROL_STOPPED)
        Py_RETURN_NONE;
    if (end == CONTROL_CHANGE)
        return Py_BuildValue("(iN)", 0, topology_value(news.value));
    PyObject *told =
        Py_BuildValue("(KN)", (unsigned long long)news.life->serial, record_to_python(news.life->record));
    life_unref(news.life);
    return told;
}

static PyObject *core_gone(PyObject *self, void *closure)
{
    struct manager *manager = core_manager(self);
    (void)closure;
    if (manager == NULL)
        return NULL;
    pthread_mutex_lock(&manager->requests);
    bool gone = manager->gone;
    pthread_mutex_unlock(&manager->requests);
    return PyBool_FromLong(gone);
}

/* ---- the dispatcher ---- */

/* A future, whether the call went well, and its value or exception. */
static int deliver(PyObject *batch, PyObject *future, PyObject *value)
{
    PyObject *ok = value != NULL ? Py_True : Py_False;
    if (value == NULL) {
        PyObject *type, *trace;
        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        Py_XDECREF(type);
        Py_XDECREF(trace);
    }
    PyObject *entry = value == NULL ? NULL : Py_BuildValue("(OON)", future, ok, value);
    int rc = entry == NULL ? -1 : PyList_Append(batch, entry);
    Py_XDECREF(entry);
    return rc;
}

/* A listener that fails fails its call, which is ended. Whoever has the future drops the listener. */
static int settle(struct manager *manager, PyObject *batch, struct call *call)
{
    bool over = call->state != CALL_WAITING;
    bool told = call->future == NULL || call_tell_output(call) == 0;
    PyObject *future = told && !over ? NULL : call_claim(call);
    if (future == NULL)
        return 0;
    int rc = deliver(batch, future, told ? call_value(call) : NULL);
    if (call->deadline_us != 0 || !over) {
        Py_BEGIN_ALLOW_THREADS
        if (over)
            dispatcher_set_due(&manager->dispatcher, call, 0);
        else
            life_cancel(call->life, call);
        Py_END_ALLOW_THREADS
    }
    Py_CLEAR(call->listener);
    Py_DECREF(future);
    return rc;
}

static int settle_all(struct manager *manager, PyObject *batch, struct call *done)
{
    int rc = 0;
    while (done != NULL) {
        struct call *call = done;
        done = call->next_done;
        if (rc == 0)
            rc = settle(manager, batch, call);
        call_unref(call);
    }
    return rc;
}

static PyObject *core_dispatch(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    struct call *done;
    (void)nothing;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    done = dispatcher_next(manager);
    Py_END_ALLOW_THREADS
    if (done == NULL)
        Py_RETURN_NONE;
    PyObject *batch = PyList_New(0);
    if (batch != NULL && settle_all(manager, batch, done) != 0)
        Py_CLEAR(batch);
    return batch;
}

/* ---- its end ---- */

static PyObject *core_stop_control(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    (void)nothing;
    if (manager == NULL)
        return NULL;
    control_stop(manager);
    Py_RETURN_NONE;
}

static PyObject *core_stop_dispatch(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    (void)nothing;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    dispatcher_stop(&manager->dispatcher);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *core_close(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    (void)nothing;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    manager_close(manager);
    manager_bury(manager);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *core_forget(PyObject *self, PyObject *nothing)
{
    struct manager *manager = ((struct core *)self)->manager;
    (void)nothing;
    if (!manager->forgotten)
        manager_forget(manager);
    Py_RETURN_NONE;
}

/* What a forgotten one has belongs to its parent's threads. */
static void core_dealloc(PyObject *self)
{
    struct manager *manager = ((struct core *)self)->manager;
    PyTypeObject *type = Py_TYPE(self);
    if (!manager->forgotten) {
        Py_BEGIN_ALLOW_THREADS
        manager_close(manager);
        Py_END_ALLOW_THREADS
        manager_free(manager);
    }
    PyObject_Free(self);
    Py_DECREF(type);
}

int core_type_init(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"create", life_create, METH_VARARGS, "Creates a VM, attached: a Life."},
        {"up", core_up, METH_VARARGS, "up(checked, file, flags): brings a topology up: what was done."},
        {"about", core_about, METH_VARARGS, "about(what, name, number, grace): asks about topologies: the answer."},
        {"follow", core_follow, METH_NOARGS, "What happens to topologies comes out of control() from now on."},
        {"take", core_take, METH_VARARGS, "take(name, number): a Life of a topology's VM."},
        {"control", core_control, METH_NOARGS, "Body of the control thread: until something has happened, or the end."},
        {"dispatch", core_dispatch, METH_NOARGS, "Body of the dispatcher: [(future, ok, value), ...], or the end."},
        {"stop_control", core_stop_control, METH_NOARGS, "Ends control()."},
        {"stop_dispatch", core_stop_dispatch, METH_NOARGS, "Ends dispatch(), once nothing is left to hand out."},
        {"close", core_close, METH_NOARGS, "Kills what is left. The control thread must have ended."},
        {"forget", core_forget, METH_NOARGS, "In a child after fork: lets go of what is the parent's."},
        {0},
    };
    static PyGetSetDef attributes[] = {
        {"gone", core_gone, NULL, "Has the orchestrator ended by itself?", NULL},
        {0},
    };
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)core_dealloc}, {Py_tp_methods, methods}, {Py_tp_getset, attributes},
        {Py_tp_new, (void *)core_no_new},      {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "pylua_bioxen_vm._core.Core",
        .basicsize = sizeof(struct core),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    core_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return core_type == NULL ? -1 : PyModule_AddType(module, core_type);
}
