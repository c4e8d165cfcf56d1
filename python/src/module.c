/* module.c - the extension module pylua_bioxen_vm._core. */
#include "core.h"

static PyObject *set_hooks(PyObject *module, PyObject *arguments)
{
    PyObject *conversion_error, *factory;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO", &conversion_error, &factory))
        return NULL;
    Py_INCREF(conversion_error);
    Py_INCREF(factory);
    Py_XDECREF(core_conversion_error);
    Py_XDECREF(core_error_factory);
    core_conversion_error = conversion_error;
    core_error_factory = factory;
    Py_RETURN_NONE;
}

/* Its types, its spare buffer and its hooks are one per process. */
static int refuse_subinterpreter(void)
{
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0)
        return 0;
    PyErr_SetString(PyExc_ImportError, "pylua_bioxen_vm works in the main interpreter only, not in a sub-interpreter");
    return -1;
}

static int exec_module(PyObject *module)
{
    if (refuse_subinterpreter() != 0 || core_type_init(module) != 0 || life_type_init(module) != 0 ||
        call_type_init(module) != 0)
        return -1;
    static const struct {
        const char *name;
        long value;
    } constants[] = {
        {"EXECUTE", BIOXEN_EXECUTE}, {"CALL", BIOXEN_CALL},
        {"RESTRICTED", BIOXEN_RESTRICTED}, {"FULL", BIOXEN_FULL},
        {"NETWORK_NONE", BIOXEN_NETWORK_NONE}, {"NETWORK_SHARED", BIOXEN_NETWORK_SHARED},
        {"NETWORK_LATE", BIOXEN_NETWORK_LATE},
        {"REQUIRE_MEMORY", BIOXEN_REQUIRE_MEMORY}, {"REQUIRE_CPUS", BIOXEN_REQUIRE_CPUS},
        {"REQUIRE_PIDS", BIOXEN_REQUIRE_PIDS}, {"REQUIRE_CPU_TIME", BIOXEN_REQUIRE_CPU_TIME},
        {"FAILED_ERROR", BIOXEN_FAILED_ERROR}, {"FAILED_SYNTAX", BIOXEN_FAILED_SYNTAX},
        {"FAILED_MEMORY", BIOXEN_FAILED_MEMORY}, {"FAILED_TIMEOUT", BIOXEN_FAILED_TIMEOUT},
        {"FAILED_INTERRUPTED", BIOXEN_FAILED_INTERRUPTED}, {"FAILED_CONVERSION", BIOXEN_FAILED_CONVERSION},
        {"FAILED_TOO_LARGE", BIOXEN_FAILED_TOO_LARGE}, {"DIED", CORE_DIED},
        {"UP_DRY_RUN", BIOXEN_UP_DRY_RUN}, {"UP_WAIT", BIOXEN_UP_WAIT}, {"LEFT", CORE_LEFT},
        {"ABOUT_DOWN", ABOUT_DOWN}, {"ABOUT_VMS", ABOUT_VMS}, {"ABOUT_TOPOLOGIES", ABOUT_TOPOLOGIES},
        {"ABOUT_DEATHS", ABOUT_DEATHS}, {"ABOUT_VM", ABOUT_VM}, {"ABOUT_STATS", ABOUT_STATS},
        {"ABOUT_LOGS", ABOUT_LOGS}, {"ABOUT_START", ABOUT_START}, {"ABOUT_STOP", ABOUT_STOP},
        {"ABOUT_RESTART", ABOUT_RESTART}, {"ABOUT_KILL", ABOUT_KILL},
        {"EXPIRED", CORE_EXPIRED}, {"REFUSED", CORE_REFUSED},
        {"NO_MEMORY", CORE_NO_MEMORY}, {"FORGOTTEN", CORE_FORGOTTEN},
        {"CANCEL_DONE", CANCEL_DONE}, {"CANCEL_BEFORE", CANCEL_BEFORE},
        {"CANCEL_LATE", CANCEL_LATE},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) != 0)
            return -1;
    return 0;
}

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void)
{
    static PyMethodDef methods[] = {
        {"open", core_open, METH_O, "open(directory): starts an orchestrator: a Core."},
        {"check", core_check, METH_VARARGS,
         "check(where, joins, file): what is wrong with a topology file: (for up, [fault, ...], errors, omitted)."},
        {"join", core_join, METH_O, "join(path): connects to a daemon: a Core."},
        {"set_hooks", set_hooks, METH_VARARGS, "set_hooks(ConversionError, factory): what errors are made of."},
        {0},
    };
    static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)exec_module}, {0, NULL}};
    static PyModuleDef definition = {
        .m_base = PyModuleDef_HEAD_INIT,
        .m_name = "pylua_bioxen_vm._core",
        .m_doc = "The part of pylua_bioxen_vm that talks to the VMs. Use the package.",
        .m_methods = methods,
        .m_slots = slots,
    };
    return PyModuleDef_Init(&definition);
}
