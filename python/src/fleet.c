/* fleet.c - topologies that are up, as Python asks about them. */
#include <errno.h>
#include <string.h>

#include "core.h"

/* ---- answers ---- */

PyObject *topology_value(bioxen_values *value)
{
    struct bioxen_string bytes;
    PyObject *object = NULL;
    if (bioxen_values_bytes(value, &bytes) == 0)
        object = values_to_python(bytes);
    else
        PyErr_NoMemory();
    bioxen_values_free(value);
    return object;
}

/* Waits for it. */
static PyObject *answer_of(struct manager *manager, struct waiter *waiter, const struct bioxen_error *err)
{
    if (await_answer(manager, waiter, NULL, err, false) != 0)
        return NULL;
    bioxen_values *value = waiter->value;
    waiter->value = NULL;
    PyObject *answer = value != NULL ? topology_value(value) : raise_refused("", &waiter->error);
    PyObject *both = answer == NULL ? NULL : Py_BuildValue("(NN)", answer, log_to_python(&waiter->log));
    waiter_drop(manager, waiter, true);
    return both;
}

static PyObject *ask(PyObject *core, start_function *start, const void *what)
{
    struct manager *manager = core_manager(core);
    struct bioxen_error err = {0};
    struct waiter *waiter;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_ask(manager, start, what, NULL, &err);
    Py_END_ALLOW_THREADS
    return answer_of(manager, waiter, &err);
}

/* ---- up ---- */

struct bring {
    struct bioxen_topology_file file;
    const bioxen_checked *checked;
    unsigned flags;
};

static int start_up(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    const struct bring *bring = what;
    return bioxen_up_start(library, &bring->file, bring->checked, bring->flags, request, err);
}

PyObject *core_up(PyObject *self, PyObject *arguments)
{
    struct bring bring;
    PyObject *checked, *file;
    if (!PyArg_ParseTuple(arguments, "OOI", &checked, &file, &bring.flags) ||
        (bring.checked = topology_checked(checked)) == NULL || topology_take_file(file, &bring.file) != 0)
        return NULL;
    PyObject *answer = ask(self, start_up, &bring);
    topology_free_file(&bring.file);
    return answer;
}

/* ---- what is ---- */

struct question {
    int about;
    const char *name;
    unsigned grace_ms;
};

static int start_verb(bioxen_manager *library, const struct question *question, uint32_t *request,
                      struct bioxen_error *err)
{
    static const enum bioxen_vm_verb verbs[] = {
        [ABOUT_START] = BIOXEN_VM_START,
        [ABOUT_STOP] = BIOXEN_VM_STOP,
        [ABOUT_RESTART] = BIOXEN_VM_RESTART,
        [ABOUT_KILL] = BIOXEN_VM_KILL,
    };
    return bioxen_vm_start(library, verbs[question->about], question->name, question->grace_ms, request, err);
}

static int start_about(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    const struct question *question = what;
    switch ((enum about)question->about) {
    case ABOUT_DOWN: return bioxen_down_start(library, question->name, request, err);
    case ABOUT_VMS: return bioxen_list_start(library, BIOXEN_LIST_VMS, question->name, request, err);
    case ABOUT_TOPOLOGIES: return bioxen_list_start(library, BIOXEN_LIST_TOPOLOGIES, NULL, request, err);
    case ABOUT_DEATHS: return bioxen_list_start(library, BIOXEN_LIST_DEATHS, question->name, request, err);
    case ABOUT_VM: return bioxen_inspect_start(library, question->name, request, err);
    case ABOUT_STATS: return bioxen_stats_all_start(library, question->name, request, err);
    case ABOUT_LOGS: return bioxen_logs_start(library, question->name, 0, 0, request, err);
    default: return start_verb(library, question, request, err);
    }
}

PyObject *core_about(PyObject *self, PyObject *arguments)
{
    struct question question;
    double grace;
    if (!PyArg_ParseTuple(arguments, "izd", &question.about, &question.name, &grace))
        return NULL;
    if (question.about < ABOUT_DOWN || question.about > ABOUT_KILL ||
        (question.name == NULL && question.about >= ABOUT_VM && question.about != ABOUT_STATS))
        return PyErr_Format(PyExc_ValueError, "nothing can be asked so");
    question.grace_ms = (unsigned)(grace * 1000);
    return ask(self, start_about, &question);
}

static int start_events(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    (void)what;
    return bioxen_events_start(library, NULL, request, err);
}

PyObject *core_follow(PyObject *self, PyObject *nothing)
{
    struct manager *manager = core_manager(self);
    struct bioxen_error err = {0};
    int rc;
    (void)nothing;
    if (manager == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    rc = manager_tell(manager, start_events, NULL, &err);
    Py_END_ALLOW_THREADS
    if (rc != 0)
        return raise_refused("", &err);
    Py_RETURN_NONE;
}

/* ---- a session with one ---- */

static PyObject *take(struct manager *manager, struct life *life, PyObject *core)
{
    struct bioxen_error err = {0};
    struct waiter *waiter;
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_attach(manager, life, &err);
    Py_END_ALLOW_THREADS
    if (await_answer(manager, waiter, life, &err, false) != 0)
        return NULL;
    bioxen_session *session = waiter->session;
    waiter->session = NULL;
    Py_BEGIN_ALLOW_THREADS
    life_attach(life, session);
    waiter_drop(manager, waiter, true);
    Py_END_ALLOW_THREADS
    return life_object(life, core);
}

PyObject *core_take(PyObject *self, PyObject *arguments)
{
    struct manager *manager = core_manager(self);
    const char *name;
    unsigned number;
    if (manager == NULL || !PyArg_ParseTuple(arguments, "sI", &name, &number))
        return NULL;
    struct life *life = life_new(manager, name, 0);
    if (life == NULL)
        return PyErr_NoMemory();
    manager_unlist(manager, life);
    life->foreign = true;
    life->vm = number;
    manager_list(manager, life);
    PyObject *object = take(manager, life, self);
    life_unref(life);
    return object;
}
