/*
 * values_read.c - Lua values on their way into Python, without recursion: a first pass makes an empty list or dict for
 * each table, a second one fills them, so that what was shared or cyclic in Lua is so in Python.
 *
 * The bytes come from a VM, and were checked by the library: reading them cannot fail. What Python cannot hold apart
 * (the keys 1 and true of one table) is an error, and never lost.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define NOWHERE UINT32_MAX

/* So many bytes are looked at before a string is taken for text: a failing decoder costs a copy of all of it. */
#define PROBED 256

struct source {
    uint32_t parent;    /* the table that refers to it first, or NOWHERE: a result */
    const char *key_at; /* its key there; NULL: an item */
    int64_t index;      /* of an item, from 1 */
};

struct intake {
    PyObject **tables;
    struct source *sources;
    uint32_t count, made, capacity;
};

/* ---- single values ---- */

/* Is this certainly no UTF-8? Looks at the beginning only, and may say no too often. */
static bool surely_binary(const unsigned char *at, size_t length)
{
    size_t end = length < PROBED ? length : PROBED;
    for (size_t i = 0; i < end;) {
        unsigned char c = at[i++];
        unsigned more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
        if (more == 9)
            return true;
        for (; more > 0 && i < end; more--, i++)
            if ((at[i] & 0xc0) != 0x80)
                return true;
        if (more > 0 && end == length)
            return true;
    }
    return false;
}

static PyObject *text_or_bytes(struct bioxen_string string)
{
    if (!surely_binary((const unsigned char *)string.bytes, string.length)) {
        PyObject *text = PyUnicode_DecodeUTF8(string.bytes, (Py_ssize_t)string.length, NULL);
        if (text != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return text;
        PyErr_Clear();
    }
    return PyBytes_FromStringAndSize(string.bytes, (Py_ssize_t)string.length);
}

/* A new reference. Tables were made before. */
static PyObject *single(const struct intake *reader, const struct bioxen_value *value)
{
    switch (value->type) {
    case BIOXEN_BOOLEAN:
        return PyBool_FromLong(value->integer != 0);
    case BIOXEN_INTEGER:
        return PyLong_FromLongLong(value->integer);
    case BIOXEN_NUMBER:
        return PyFloat_FromDouble(value->number);
    case BIOXEN_STRING:
        return text_or_bytes(value->string);
    case BIOXEN_TABLE:
        Py_INCREF(reader->tables[value->integer]);
        return reader->tables[value->integer];
    default:
        Py_INCREF(Py_None);
        return Py_None;
    }
}

/* ---- the first pass ---- */

static int note_table(struct intake *reader, const struct bioxen_value *value, struct source source)
{
    if (value->type != BIOXEN_TABLE || value->integer < reader->count)
        return 0;
    if (reader->count == reader->capacity) {
        uint32_t capacity = reader->capacity > 0 ? 2 * reader->capacity : 8;
        PyObject **tables = realloc(reader->tables, capacity * sizeof *tables);
        if (tables != NULL)
            reader->tables = tables;
        struct source *sources = realloc(reader->sources, capacity * sizeof *sources);
        if (sources != NULL)
            reader->sources = sources;
        if (tables == NULL || sources == NULL)
            return PyErr_NoMemory(), -1;
        reader->capacity = capacity;
    }
    reader->sources[reader->count++] = source;
    return 0;
}

static const char *scan_items(struct intake *reader, const char *at, uint32_t parent, int64_t count)
{
    struct bioxen_value value;
    for (int64_t i = 1; i <= count; i++) {
        at = bioxen_read(at, &value);
        if (note_table(reader, &value, (struct source){parent, NULL, i}) != 0)
            return NULL;
    }
    return at;
}

static const char *scan_pairs(struct intake *reader, const char *at, uint32_t parent, int64_t count)
{
    struct bioxen_value value;
    for (int64_t i = 0; i < count; i++) {
        const char *key_at = at;
        at = bioxen_read(bioxen_read(at, &value), &value);
        if (note_table(reader, &value, (struct source){parent, key_at, 0}) != 0)
            return NULL;
    }
    return at;
}

static int make_tables(struct intake *reader, const char *at, int64_t results)
{
    struct bioxen_value head;
    at = scan_items(reader, at, NOWHERE, results);
    while (at != NULL && reader->made < reader->count) {
        at = bioxen_read(at, &head);
        bool list = head.type == BIOXEN_LIST;
        PyObject *table = list ? PyList_New((Py_ssize_t)head.integer) : PyDict_New();
        if (table == NULL)
            return -1;
        reader->tables[reader->made] = table;
        uint32_t number = reader->made++;
        at = list ? scan_items(reader, at, number, head.integer) : scan_pairs(reader, at, number, head.integer);
    }
    return at == NULL ? -1 : 0;
}

/* ---- saying where ---- */

static PyObject *source_name(const struct source *source)
{
    if (source->key_at == NULL)
        return PyUnicode_FromFormat("[%lld]", (long long)source->index);
    struct bioxen_value key;
    bioxen_read(source->key_at, &key);
    PyObject *object = single(NULL, &key), *name = object == NULL ? NULL : PyUnicode_FromFormat("[%R]", object);
    Py_XDECREF(object);
    return name;
}

/* "result 1['key'][2]"; a deep one begins with what is nearest to the fault. */
static PyObject *path_of(const struct intake *reader, uint32_t number)
{
    PyObject *path = PyUnicode_FromString("");
    int shown = 0;
    for (; path != NULL && reader->sources[number].parent != NOWHERE && shown < 24; shown++) {
        PyObject *part = source_name(&reader->sources[number]);
        PyObject *longer = part == NULL ? NULL : PyUnicode_FromFormat("%U%U", part, path);
        Py_XDECREF(part);
        Py_DECREF(path);
        path = longer;
        number = reader->sources[number].parent;
    }
    if (path == NULL)
        return NULL;
    bool whole = reader->sources[number].parent == NOWHERE;
    PyObject *full = whole ? PyUnicode_FromFormat("result %lld%U", (long long)reader->sources[number].index, path)
                           : PyUnicode_FromFormat("result[...]%U", path);
    Py_DECREF(path);
    return full;
}

static int refuse_pair(const struct intake *reader, uint32_t number, PyObject *key)
{
    PyObject *path = path_of(reader, number);
    if (path != NULL)
        PyErr_Format(core_conversion_error,
                     "%U: the key %R is there twice as Python sees it (true is 1 and false is 0)", path, key);
    Py_XDECREF(path);
    return -1;
}

/* ---- the second pass ---- */

static const char *fill_list(const struct intake *reader, const char *at, PyObject *list, int64_t count)
{
    struct bioxen_value value;
    for (int64_t i = 0; i < count; i++) {
        at = bioxen_read(at, &value);
        PyObject *item = single(reader, &value);
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) != 0)
            return NULL;
    }
    return at;
}

static int fill_pair(const struct intake *reader, uint32_t number, const struct bioxen_value *key,
                     const struct bioxen_value *value)
{
    PyObject *dict = reader->tables[number], *k = single(reader, key), *v = single(reader, value);
    Py_ssize_t before = PyDict_Size(dict);
    int rc = k == NULL || v == NULL ? -1 : PyDict_SetItem(dict, k, v);
    if (rc == 0 && PyDict_Size(dict) == before)
        rc = refuse_pair(reader, number, k);
    Py_XDECREF(k);
    Py_XDECREF(v);
    return rc;
}

static const char *fill_dict(const struct intake *reader, const char *at, uint32_t number, int64_t count)
{
    struct bioxen_value key, value;
    for (int64_t i = 0; i < count; i++) {
        at = bioxen_read(bioxen_read(at, &key), &value);
        if (fill_pair(reader, number, &key, &value) != 0)
            return NULL;
    }
    return at;
}

static int fill_tables(const struct intake *reader, const char *at)
{
    struct bioxen_value head;
    for (uint32_t i = 0; i < reader->made && at != NULL; i++) {
        at = bioxen_read(at, &head);
        at = head.type == BIOXEN_LIST ? fill_list(reader, at, reader->tables[i], head.integer)
                                      : fill_dict(reader, at, i, head.integer);
    }
    return at == NULL ? -1 : 0;
}

static PyObject *results(const struct intake *reader, const char **at, int64_t count)
{
    struct bioxen_value value = {.type = BIOXEN_NIL};
    if (count <= 1) {
        if (count == 1)
            *at = bioxen_read(*at, &value);
        return single(reader, &value);
    }
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    for (int64_t i = 0; tuple != NULL && i < count; i++) {
        *at = bioxen_read(*at, &value);
        PyObject *item = single(reader, &value);
        if (item == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, item) != 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

PyObject *values_to_python(struct bioxen_string bytes)
{
    struct intake reader = {0};
    struct bioxen_value head;
    PyObject *out = NULL;
    const char *at = bioxen_read(bytes.bytes, &head);
    if (make_tables(&reader, at, head.integer) == 0) {
        out = results(&reader, &at, head.integer);
        if (out != NULL && fill_tables(&reader, at) != 0)
            Py_CLEAR(out);
    }
    for (uint32_t i = 0; i < reader.made; i++)
        Py_DECREF(reader.tables[i]);
    free(reader.tables);
    free(reader.sources);
    return out;
}
