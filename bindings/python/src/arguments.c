/* arguments.c - what keyword names mean, and what is said of wrong ones; see arguments.h. */
#include "arguments.h"

#include "module.h"

static int arguments_parameter(const struct arguments_signature *signature, PyObject *name, unsigned *out)
{
    for (unsigned i = 0; i < signature->count; i++)
        if (PyUnicode_CompareWithASCIIString(name, signature->names[i]) == 0) {
            *out = i;
            return 0;
        }
    PyErr_Format(module_bad_type, "%s() has no parameter '%U'", signature->method, name);
    return -1;
}

int arguments_learn(struct arguments_signature *signature, PyObject *names, struct arguments_shape *out)
{
    struct arguments_shape fresh = {names, 0, ARGUMENTS_MAX, {0}};
    PyObject *old = out->names;
    Py_ssize_t count = PyTuple_Size(names);

    if ((size_t)count > signature->count)
        return arguments_refuse_count(signature, count);
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned parameter;
        if (arguments_parameter(signature, PyTuple_GetItem(names, i), &parameter) != 0)
            return -1;
        fresh.at[fresh.count++] = (uint8_t)parameter;
        if (parameter < fresh.lowest)
            fresh.lowest = (uint8_t)parameter;
    }
    Py_INCREF(names);
    *out = fresh;
    Py_XDECREF(old);
    return 0;
}

int arguments_refuse_count(const struct arguments_signature *signature, Py_ssize_t given)
{
    PyErr_Format(module_bad_type, "%s() takes %u arguments without a name (%zd given); name the others",
                 signature->method, signature->positional, given);
    return -1;
}

int arguments_refuse_twice(const struct arguments_signature *signature, unsigned parameter)
{
    PyErr_Format(module_bad_type, "%s() got '%s' twice", signature->method, signature->names[parameter]);
    return -1;
}

int arguments_refuse_missing(const struct arguments_signature *signature, PyObject *const *values)
{
    unsigned i = 0;

    while (values[i])
        i++;
    PyErr_Format(module_bad_type, "%s() needs '%s'", signature->method, signature->names[i]);
    return -1;
}
