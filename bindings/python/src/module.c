/* module.c - the extension module ailive._native.
 *
 * Place: package ailive -> [module: client, timer] -> libailive. Owns the module's static state. */
#include "module.h"

PyObject *module_bad_type;
PyObject *module_bad_value;
PyObject *module_run_id_get;

static PyObject *module_watch_run_id(PyObject *module, PyObject *get)
{
    PyObject *old = module_run_id_get;

    (void)module;
    Py_INCREF(get);
    module_run_id_get = get;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"watch_run_id", module_watch_run_id, METH_O,
     "watch_run_id(get)\n--\n\nFrom now on records without a run id ask get() for one; None means none."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "ailive._native",
    .m_doc = "libailive for Python. Use the package ailive.",
    .m_size = -1,
    .m_methods = module_methods,
};

/* Recording calls are inlined: another layout than the header's must not be written to. */
static int module_abi(void)
{
    if (ailive_abi() == AILIVE_ABI)
        return 0;
    PyErr_Format(PyExc_ImportError, "libailive %s has the binary interface %u, this was built for %u",
                 ailive_version(), ailive_abi(), AILIVE_ABI);
    return -1;
}

static int module_errors(void)
{
    PyObject *errors = PyImport_ImportModule("ailive._errors");

    if (!errors)
        return -1;
    module_bad_type = PyObject_GetAttrString(errors, "BadType");
    module_bad_value = PyObject_GetAttrString(errors, "BadValue");
    Py_DECREF(errors);
    return module_bad_type && module_bad_value ? 0 : -1;
}

PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&module_definition);

    if (!module)
        return NULL;
    if (module_abi() == 0 && module_errors() == 0 && client_ready(module) == 0 && timer_ready(module) == 0 &&
        PyModule_AddStringConstant(module, "library_version", ailive_version()) == 0)
        return module;
    Py_DECREF(module);
    return NULL;
}
