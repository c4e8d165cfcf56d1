/*
 * values_put.c - Python values on their way into Lua, without recursion: tables wait in a list, in the order in which
 * they are first met, which is the order in which they travel. What is met again is the same table there, too.
 *
 * No value is ever made part of a program's text.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* Parts of a path that an error message shows; what is deeper than this is elided in its middle. */
#define PATH_SHOWN 24

struct table {
    PyObject *object;  /* borrowed: its parent, or the caller's tuple, holds it */
    PyObject *key;     /* borrowed: under which its parent has it, NULL for an index */
    Py_ssize_t index;
    uint32_t parent;   /* ROOT: an argument */
};

#define ROOT UINT32_MAX

struct writer {
    bioxen_values *out;
    struct table *tables;
    uint32_t count, capacity;
    uint32_t *places;     /* hash table: number + 1 of the table with that address */
    uint32_t place_count; /* a power of two */
    /* where the writer is, for messages */
    uint32_t parent;
    PyObject *key;
    Py_ssize_t index;
};

/* ---- saying where ---- */

static int append_part(PyObject *parts, PyObject *key, Py_ssize_t index)
{
    PyObject *part = key != NULL ? PyUnicode_FromFormat("[%R]", key) : PyUnicode_FromFormat("[%zd]", index);
    int rc = part == NULL ? -1 : PyList_Append(parts, part);
    Py_XDECREF(part);
    return rc;
}

static int collect(const struct writer *writer, PyObject *parts)
{
    uint32_t at = writer->parent, shown = 0;
    if (at == ROOT)
        return 0;
    int rc = append_part(parts, writer->key, writer->index);
    for (; rc == 0 && writer->tables[at].parent != ROOT; at = writer->tables[at].parent)
        if (++shown < PATH_SHOWN)
            rc = append_part(parts, writer->tables[at].key, writer->tables[at].index);
    if (rc == 0 && shown >= PATH_SHOWN) {
        PyObject *dots = PyUnicode_FromString("[...]");
        rc = dots == NULL ? -1 : PyList_Append(parts, dots);
        Py_XDECREF(dots);
    }
    return rc;
}

static Py_ssize_t argument_of(const struct writer *writer)
{
    if (writer->parent == ROOT)
        return writer->index;
    uint32_t at = writer->parent;
    while (writer->tables[at].parent != ROOT)
        at = writer->tables[at].parent;
    return writer->tables[at].index;
}

/* "argument 2['key'][0]" */
static PyObject *path_of(const struct writer *writer)
{
    PyObject *path = NULL, *parts = PyList_New(0), *empty = PyUnicode_FromString("");
    if (parts != NULL && empty != NULL && collect(writer, parts) == 0 && PyList_Reverse(parts) == 0) {
        PyObject *rest = PyUnicode_Join(empty, parts);
        if (rest != NULL)
            path = PyUnicode_FromFormat("argument %zd%U", argument_of(writer) + 1, rest);
        Py_XDECREF(rest);
    }
    Py_XDECREF(parts);
    Py_XDECREF(empty);
    return path;
}

static int refuse_as(const struct writer *writer, PyObject *type, const char *why)
{
    PyObject *path = path_of(writer);
    if (path != NULL)
        PyErr_Format(type, "%U: %s", path, why);
    Py_XDECREF(path);
    return -1;
}

static int refuse(const struct writer *writer, const char *why)
{
    return refuse_as(writer, core_conversion_error, why);
}

static int refuse_type(const struct writer *writer, PyObject *value, const char *what)
{
    PyObject *path = path_of(writer);
    PyObject *name = path == NULL ? NULL : PyObject_GetAttrString((PyObject *)Py_TYPE(value), "__name__");
    if (name != NULL)
        PyErr_Format(core_conversion_error, "%U: %S %s", path, name, what);
    Py_XDECREF(name);
    Py_XDECREF(path);
    return -1;
}

/* ---- tables that were met ---- */

static uint32_t place_of(const struct writer *writer, const PyObject *object)
{
    uint64_t hash = ((uint64_t)(uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mask = writer->place_count - 1, at = (uint32_t)(hash >> 32) & mask;
    while (writer->places[at] != 0 && writer->tables[writer->places[at] - 1].object != object)
        at = (at + 1) & mask;
    return at;
}

static int grow(struct writer *writer)
{
    uint32_t capacity = writer->capacity > 0 ? 2 * writer->capacity : 8;
    struct table *tables = realloc(writer->tables, capacity * sizeof *tables);
    if (tables == NULL)
        return PyErr_NoMemory(), -1;
    writer->tables = tables;
    uint32_t *places = calloc(2 * (size_t)capacity, sizeof *places);
    if (places == NULL)
        return PyErr_NoMemory(), -1;
    free(writer->places);
    writer->places = places;
    writer->place_count = 2 * capacity;
    writer->capacity = capacity;
    for (uint32_t i = 0; i < writer->count; i++)
        writer->places[place_of(writer, tables[i].object)] = i + 1;
    return 0;
}

static int put_table(struct writer *writer, PyObject *object)
{
    if (writer->count == writer->capacity && grow(writer) != 0)
        return -1;
    uint32_t place = place_of(writer, object);
    if (writer->places[place] == 0) {
        writer->tables[writer->count] = (struct table){object, writer->key, writer->index, writer->parent};
        writer->places[place] = ++writer->count;
    }
    bioxen_put_table(writer->out, writer->places[place] - 1);
    return 0;
}

/* ---- single values ---- */

static int put_bytes(struct writer *writer, PyObject *bytes)
{
    char *at;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &at, &length) != 0)
        return -1;
    bioxen_put_string(writer->out, at, (size_t)length);
    return 0;
}

static int put_text(struct writer *writer, PyObject *text)
{
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -1;
        PyErr_Clear();
        return refuse(writer, "a str with a lone surrogate is no UTF-8; give bytes");
    }
    int rc = put_bytes(writer, bytes);
    Py_DECREF(bytes);
    return rc;
}

static int put_integer(struct writer *writer, PyObject *value)
{
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return refuse_as(writer, PyExc_OverflowError, "this int does not fit in the 64 bits of a Lua integer");
    if (number == -1 && PyErr_Occurred())
        return -1;
    bioxen_put_integer(writer->out, number);
    return 0;
}

static int put_memoryview(struct writer *writer, PyObject *view)
{
    PyObject *bytes = PyObject_CallMethod(view, "tobytes", NULL);
    int rc = bytes == NULL ? -1 : put_bytes(writer, bytes);
    Py_XDECREF(bytes);
    return rc;
}

static int put_value(struct writer *writer, PyObject *value)
{
    if (value == Py_None)
        return bioxen_put_nil(writer->out), 0;
    if (PyBool_Check(value))
        return bioxen_put_boolean(writer->out, value == Py_True), 0;
    if (PyLong_Check(value))
        return put_integer(writer, value);
    if (PyUnicode_Check(value))
        return put_text(writer, value);
    if (PyFloat_Check(value))
        return bioxen_put_number(writer->out, PyFloat_AsDouble(value)), 0;
    if (PyBytes_Check(value))
        return put_bytes(writer, value);
    if (PyList_Check(value) || PyTuple_Check(value) || PyDict_Check(value))
        return put_table(writer, value);
    if (PyByteArray_Check(value))
        return bioxen_put_string(writer->out, PyByteArray_AsString(value), (size_t)PyByteArray_Size(value)), 0;
    if (PyMemoryView_Check(value))
        return put_memoryview(writer, value);
    return refuse_type(writer, value, "cannot cross into Lua");
}

/* ---- tables ---- */

/* A float that is a whole number would come back as an int, and could meet that int's place. */
static int check_float_key(const struct writer *writer, double key)
{
    if (isnan(key))
        return refuse(writer, "NaN cannot be a key in Lua");
    if (key == floor(key) && key >= -0x1p63 && key < 0x1p63)
        return refuse(writer, "a float key that is a whole number is an integer key in Lua; give an int");
    return 0;
}

/* b"a" and "a" are one key in Lua. */
static int check_bytes_key(const struct writer *writer, PyObject *dict, PyObject *key)
{
    char *at;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(key, &at, &length) != 0)
        return -1;
    PyObject *text = PyUnicode_DecodeUTF8(at, length, NULL);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    int both = PyDict_Contains(dict, text);
    Py_DECREF(text);
    return both > 0 ? refuse(writer, "this key is there as str and as bytes, which are one key in Lua") : both;
}

static int put_key(struct writer *writer, PyObject *dict, PyObject *key)
{
    int rc = 0;
    if (key == Py_None)
        return refuse(writer, "None cannot be a key in Lua");
    if (PyFloat_Check(key))
        rc = check_float_key(writer, PyFloat_AsDouble(key));
    else if (PyBytes_Check(key))
        rc = check_bytes_key(writer, dict, key);
    else if (!PyLong_Check(key) && !PyUnicode_Check(key))
        return refuse_type(writer, key, "cannot be a key in Lua");
    return rc == 0 ? put_value(writer, key) : rc;
}

static int put_pair(struct writer *writer, PyObject *dict, PyObject *key, PyObject *value)
{
    writer->key = key;
    int rc = put_key(writer, dict, key);
    return rc == 0 ? put_value(writer, value) : rc;
}

/* What is None is not there, as in Lua. */
static uint32_t count_pairs(PyObject *dict)
{
    Py_ssize_t at = 0;
    uint32_t count = 0;
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value))
        count += value != Py_None;
    return count;
}

static int put_dict(struct writer *writer, PyObject *dict)
{
    uint32_t count = count_pairs(dict), put = 0;
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int rc = 0;
    bioxen_put_map(writer->out, count);
    while (rc == 0 && PyDict_Next(dict, &at, &key, &value)) {
        if (value == Py_None && key != Py_None)
            continue;
        put++;
        rc = put_pair(writer, dict, key, value);
    }
    if (rc == 0 && put != count) {
        PyErr_SetString(PyExc_RuntimeError, "a dict was changed while it was converted");
        rc = -1;
    }
    return rc;
}

static int put_items(struct writer *writer, PyObject *sequence)
{
    bool list = PyList_Check(sequence);
    Py_ssize_t count = list ? PyList_Size(sequence) : PyTuple_Size(sequence);
    int rc = count < 0 ? -1 : 0;
    if (count > UINT32_MAX)
        return refuse(writer, "a list of more than 2**32 items");
    if (rc == 0)
        bioxen_put_list(writer->out, (uint32_t)count);
    writer->key = NULL;
    for (Py_ssize_t i = 0; rc == 0 && i < count; i++) {
        PyObject *item = list ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
        writer->index = i;
        rc = item == NULL ? -1 : put_value(writer, item);
    }
    return rc;
}

static int put_all(struct writer *writer, PyObject *arguments)
{
    int rc = put_items(writer, arguments);
    for (uint32_t i = 0; rc == 0 && i < writer->count; i++) {
        writer->parent = i;
        PyObject *object = writer->tables[i].object;
        rc = PyDict_Check(object) ? put_dict(writer, object) : put_items(writer, object);
    }
    return rc;
}

int values_from_python(PyObject *arguments, bioxen_values *out)
{
    struct writer writer = {.out = out, .parent = ROOT};
    int rc = put_all(&writer, arguments);
    free(writer.tables);
    free(writer.places);
    return rc;
}
