/* create.c - Core.create: what a VM is to be, out of Python's hands, and the VM itself, attached. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* A description, and what it points to. The objects are the caller's tuple's, which outlives it. */
struct description {
    struct bioxen_config config;
    struct bioxen_mount mounts[BIOXEN_MOUNTS_MAX];
    struct bioxen_string *strings; /* arguments, then environment */
    Py_ssize_t log_max;
};

static int take_string(PyObject *from, struct bioxen_string *to)
{
    char *at;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(from, &at, &length) != 0)
        return -1;
    *to = (struct bioxen_string){at, (size_t)length};
    return 0;
}

/* Two lists of bytes: the arguments; names and values of the environment in turn. */
static int take_strings(struct description *out, PyObject *arguments, PyObject *environment)
{
    Py_ssize_t count = PyList_Size(arguments), pairs = PyList_Size(environment);
    if (count < 0 || pairs < 0)
        return -1;
    out->strings = calloc((size_t)(count + pairs) + 1, sizeof *out->strings);
    if (out->strings == NULL)
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < count + pairs; i++) {
        PyObject *item = i < count ? PyList_GetItem(arguments, i) : PyList_GetItem(environment, i - count);
        if (item == NULL || take_string(item, &out->strings[i]) != 0)
            return -1;
    }
    out->config.args = out->strings;
    out->config.arg_count = (size_t)count;
    out->config.env = out->strings + count;
    out->config.env_count = (size_t)pairs / 2;
    return 0;
}

/* A list of (descriptor, target, writable). */
static int take_mounts(struct description *out, PyObject *mounts)
{
    Py_ssize_t count = PyList_Size(mounts);
    if (count > BIOXEN_MOUNTS_MAX) {
        PyErr_Format(PyExc_ValueError, "%zd mounts; a VM can have %d at most", count, BIOXEN_MOUNTS_MAX);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct bioxen_mount *mount = &out->mounts[i];
        if (!PyArg_ParseTuple(PyList_GetItem(mounts, i), "iyp", &mount->fd, &mount->target, &mount->writable))
            return -1;
    }
    out->config.mounts = out->mounts;
    out->config.mount_count = (size_t)count;
    return count < 0 ? -1 : 0;
}

static int describe(PyObject *arguments, struct description *out)
{
    unsigned long long memory, cpu_time, output_limit;
    PyObject *mounts, *args, *environment;
    const char *text;
    Py_ssize_t length;
    int profile, network;
    bioxen_config_init(&out->config);
    if (!PyArg_ParseTuple(arguments, "siKIKIKIOyOOy#ini", &out->config.name, &profile, &memory,
                          &out->config.cpus_milli, &cpu_time, &out->config.pids, &output_limit, &out->config.required,
                          &mounts, &out->config.chunk_name, &args, &environment, &text, &length,
                          &out->config.module_dir, &out->log_max, &network))
        return -1;
    out->config.profile = (enum bioxen_profile)profile;
    out->config.network = (enum bioxen_network)network;
    out->config.memory = memory;
    out->config.cpu_time_ms = cpu_time;
    out->config.output_limit = output_limit;
    out->config.text = (struct bioxen_string){text, (size_t)length};
    out->config.serve = BIOXEN_SERVE_AFTER;
    return take_mounts(out, mounts) == 0 ? take_strings(out, args, environment) : -1;
}

/* A VM that has died already cannot be attached to: its calls will say how it died. */
static PyObject *attach(struct manager *manager, struct life *life, PyObject *core)
{
    struct bioxen_error err = {0};
    struct waiter *waiter;
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_attach(manager, life, &err);
    Py_END_ALLOW_THREADS
    if (await_answer(manager, waiter, life, &err, true) != 0) {
        Py_BEGIN_ALLOW_THREADS
        life_kill(life, 0);
        Py_END_ALLOW_THREADS
        return NULL;
    }
    bioxen_session *session = waiter->session;
    waiter->session = NULL;
    Py_BEGIN_ALLOW_THREADS
    life_attach(life, session);
    waiter_drop(manager, waiter, true);
    Py_END_ALLOW_THREADS
    return life_object(life, core);
}

static PyObject *create(struct manager *manager, const struct description *description, PyObject *core)
{
    struct bioxen_error err = {0};
    struct waiter *waiter = NULL;
    struct life *life = life_new(manager, description->config.name, (size_t)description->log_max);
    if (life == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    waiter = manager_create(manager, &description->config, life, &err);
    Py_END_ALLOW_THREADS
    PyObject *object = NULL;
    if (await_answer(manager, waiter, life, &err, false) == 0) {
        waiter_drop(manager, waiter, true);
        object = attach(manager, life, core);
    }
    life_unref(life);
    return object;
}

PyObject *life_create(PyObject *core, PyObject *arguments)
{
    struct description description = {0};
    struct manager *manager = core_manager(core);
    PyObject *life = NULL;
    if (manager != NULL && describe(arguments, &description) == 0)
        life = create(manager, &description, core);
    free(description.strings);
    return life;
}
