/* intern.c - a Python str becomes a small number; see intern.h. Any thread, under the GIL. */
#include "intern.h"

/* A str may be a subclass with a destructor of its own: the slot is whole before the old one goes. */
static void intern_remember(struct intern *intern, PyObject *text, uint32_t number)
{
    struct intern_slot *slot = &intern->slots[intern_place(text)];
    PyObject *old = slot->text;

    Py_INCREF(text);
    slot->text = text;
    slot->number = number;
    Py_XDECREF(old);
}

int intern_find(struct intern *intern, PyObject *text, uint32_t *out)
{
    PyObject *number;

    if (!intern->known)
        return 0;
    number = PyDict_GetItemWithError(intern->known, text);
    if (!number)
        return PyErr_Occurred() ? -1 : 0;
    *out = (uint32_t)PyLong_AsUnsignedLong(number);
    intern_remember(intern, text, *out);
    return 1;
}

int intern_add(struct intern *intern, PyObject *text, uint32_t number)
{
    PyObject *boxed;
    int status;

    if (!intern->known && !(intern->known = PyDict_New()))
        return -1;
    boxed = PyLong_FromUnsignedLong(number);
    if (!boxed)
        return -1;
    status = PyDict_SetItem(intern->known, text, boxed);
    Py_DECREF(boxed);
    if (status == 0)
        intern_remember(intern, text, number);
    return status;
}

void intern_fini(struct intern *intern)
{
    for (unsigned i = 0; i < INTERN_SLOTS; i++)
        Py_CLEAR(intern->slots[i].text);
    Py_CLEAR(intern->known);
}
