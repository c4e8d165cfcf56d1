/* errors.c - failures and death records as the Python layer gets them. */
#include <errno.h>
#include <string.h>

#include "core.h"

PyObject *core_conversion_error;
PyObject *core_error_factory;

/* What a script wrote may be any bytes. */
static PyObject *lenient_text(struct bioxen_string string)
{
    return PyUnicode_DecodeUTF8(string.bytes == NULL ? "" : string.bytes, (Py_ssize_t)string.length,
                                "backslashreplace");
}

PyObject *raise_made(const char *name, int kind, struct bioxen_string message, struct bioxen_string traceback,
                     PyObject *value, PyObject *output, PyObject *record)
{
    PyObject *text = lenient_text(message), *trace = lenient_text(traceback), *error = NULL;
    if (text != NULL && trace != NULL && value != NULL && output != NULL && record != NULL)
        error = PyObject_CallFunction(core_error_factory, "siNNNNN", name, kind, text, trace, value, output, record);
    else
        error = NULL;
    if (error != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

static PyObject *none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

PyObject *raise_refused(const char *name, const struct bioxen_error *err)
{
    struct bioxen_string message = {err->text, strlen(err->text)}, nothing = {NULL, 0};
    return raise_made(name, CORE_REFUSED, message, nothing, PyLong_FromLong(err->code), PyList_New(0), none());
}

PyObject *raise_died(struct life *life, const struct call *call)
{
    struct bioxen_string why = {NULL, 0}, nothing = {NULL, 0};
    if (life->broken)
        why = (struct bioxen_string){"it answered in a way that no VM does, and was killed for it", 59};
    return raise_made(life->name, life->foreign ? CORE_LEFT : CORE_DIED, why, nothing, none(),
                      call == NULL ? PyList_New(0) : log_to_python(&call->output), record_to_python(life->record));
}

PyObject *log_to_python(const struct log *log)
{
    PyObject *list = PyList_New((Py_ssize_t)log->run_count);
    size_t at = 0;
    for (size_t i = 0; list != NULL && i < log->run_count; i++) {
        PyObject *run = Py_BuildValue("(Iy#)", log->runs[i].stream, log->bytes + at, (Py_ssize_t)log->runs[i].length);
        at += log->runs[i].length;
        if (run == NULL || PyList_SetItem(list, (Py_ssize_t)i, run) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* ---- records ---- */

static PyObject *optional_text(struct bioxen_string string)
{
    return string.bytes == NULL ? none() : lenient_text(string);
}

static PyObject *limits_to_python(const struct bioxen_limit *limits)
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < BIOXEN_LIMIT_COUNT; i++) {
        PyObject *pair = Py_BuildValue("(Ks)", (unsigned long long)limits[i].asked,
                                       limits[i].enforced_by == NULL ? "" : limits[i].enforced_by);
        if (pair == NULL || PyDict_SetItemString(dict, limits[i].name, pair) != 0)
            Py_CLEAR(dict);
        Py_XDECREF(pair);
    }
    return dict;
}

PyObject *record_to_python(const struct bioxen_record *record)
{
    if (record == NULL)
        return none();
    return Py_BuildValue("{s:s,s:s,s:i,s:i,s:z,s:N,s:N,s:d,s:d,s:K,s:K,s:I,s:N}", "name", record->name, "outcome",
                         bioxen_outcome_name(record->outcome), "exit_code", record->exit_code, "signal",
                         record->signal, "syscall", record->syscall, "error", optional_text(record->error),
                         "traceback", optional_text(record->traceback), "wall_ms", (double)record->wall_us / 1000,
                         "cpu_ms", (double)record->cpu_us / 1000, "memory_peak",
                         (unsigned long long)record->memory_peak, "output_bytes",
                         (unsigned long long)record->output_bytes, "restarts", record->restarts, "limits",
                         limits_to_python(record->limits));
}
