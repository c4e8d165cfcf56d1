/*
 * topology.c - topology files: what is wrong with one, and a checked one as a capsule, for Core.up.
 *
 * A check is made by an orchestrator of its own (or over a connection of its own to the daemon), since it waits, and
 * the manager's is another thread's to wait for.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define CHECKED "pylua_bioxen_vm.checked"

static void free_checked(PyObject *capsule)
{
    bioxen_checked_free(PyCapsule_GetPointer(capsule, CHECKED));
}

const bioxen_checked *topology_checked(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, CHECKED);
}

/* A list of bytes: names and values in turn. Borrows them. NULL with an exception. */
static struct bioxen_string *take_environment(PyObject *list, size_t *pairs)
{
    Py_ssize_t count = PyList_Size(list);
    struct bioxen_string *strings = count < 0 ? NULL : calloc((size_t)count + 1, sizeof *strings);
    if (strings == NULL)
        return count < 0 ? NULL : (struct bioxen_string *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        char *at;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GetItem(list, i), &at, &length) != 0) {
            free(strings);
            return NULL;
        }
        strings[i] = (struct bioxen_string){at, (size_t)length};
    }
    *pairs = (size_t)count / 2;
    return strings;
}

int topology_take_file(PyObject *from, struct bioxen_topology_file *file)
{
    PyObject *environment;
    const char *text;
    Py_ssize_t length;
    *file = (struct bioxen_topology_file){0};
    if (!PyArg_ParseTuple(from, "y#syO", &text, &length, &file->name, &file->directory, &environment))
        return -1;
    file->text = (struct bioxen_string){text, (size_t)length};
    file->env = take_environment(environment, &file->env_count);
    return file->env == NULL ? -1 : 0;
}

void topology_free_file(struct bioxen_topology_file *file)
{
    free((void *)file->env);
}

static PyObject *fault(const struct bioxen_diagnostic *one)
{
    return Py_BuildValue("(NIIIszzIz)", PyBool_FromLong(one->is_error), one->line, one->column, one->width,
                         one->message, one->suggestion, one->script, one->script_line, one->script_text);
}

static PyObject *faults(const bioxen_checked *checked)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < bioxen_checked_count(checked); i++) {
        PyObject *one = fault(bioxen_checked_diagnostic(checked, i));
        if (one == NULL || PyList_Append(list, one) != 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *found(bioxen_checked *checked)
{
    PyObject *capsule = PyCapsule_New(checked, CHECKED, free_checked);
    if (capsule == NULL) {
        bioxen_checked_free(checked);
        return NULL;
    }
    return Py_BuildValue("(NNnn)", capsule, faults(checked), (Py_ssize_t)bioxen_checked_errors(checked),
                         (Py_ssize_t)bioxen_checked_omitted(checked));
}

static int check(open_function *open_library, const char *where, const struct bioxen_topology_file *file,
                 bioxen_checked **out, struct bioxen_error *err)
{
    bioxen_manager *library;
    int rc = open_library(&library, where, err);
    if (rc != 0)
        return rc;
    rc = bioxen_check(library, file, out, err);
    bioxen_close(library);
    return rc;
}

PyObject *core_check(PyObject *module, PyObject *arguments)
{
    struct bioxen_topology_file file;
    struct bioxen_error err = {0};
    bioxen_checked *checked = NULL;
    const char *where;
    int joins, rc;
    PyObject *from;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "ypO", &where, &joins, &from) || topology_take_file(from, &file) != 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    rc = check(joins ? bioxen_open_path : bioxen_open_at, where, &file, &checked, &err);
    Py_END_ALLOW_THREADS
    topology_free_file(&file);
    return rc == 0 ? found(checked) : raise_refused("", &err);
}
