/* arguments.h - the arguments of a call in the order of its signature, without a dict.
 *
 * Place: the interpreter's vector call -> [arguments] -> the recording methods. Any thread, under the GIL.
 * The names of the keywords are one tuple for each place in a program that calls: what it means is worked out
 * once and found by the tuple's address after that (a reference keeps the address its own). */
#ifndef AILIVE_PYTHON_ARGUMENTS_H
#define AILIVE_PYTHON_ARGUMENTS_H

#include "intern.h"

#define ARGUMENTS_MAX    8u
#define ARGUMENTS_SHAPES 64u /* as intern_place() gives */

/* Which parameter each keyword of one tuple is for. */
struct arguments_shape {
    PyObject *names; /* owned; NULL while empty */
    uint8_t count;
    uint8_t lowest; /* the first parameter that is named */
    uint8_t at[ARGUMENTS_MAX];
};

struct arguments_signature {
    const char *method;
    unsigned positional; /* so many may come without their name */
    unsigned required;   /* so many must be there */
    unsigned count;
    const char *names[ARGUMENTS_MAX];
    struct arguments_shape shapes[ARGUMENTS_SHAPES];
};

/* Raise ailive.BadType and give -1. */
int arguments_learn(struct arguments_signature *signature, PyObject *names, struct arguments_shape *out);
int arguments_refuse_count(const struct arguments_signature *signature, Py_ssize_t given);
int arguments_refuse_twice(const struct arguments_signature *signature, unsigned parameter);
int arguments_refuse_missing(const struct arguments_signature *signature, PyObject *const *values);

/* Fills values, which the caller has set to NULL, with borrowed references. 0, or -1 with an exception set.
 */
static inline int arguments_take(struct arguments_signature *signature, PyObject *const *given,
                                 Py_ssize_t positional, PyObject *names, PyObject **values)
{
    struct arguments_shape *shape;

    if ((size_t)positional > signature->positional)
        return arguments_refuse_count(signature, positional);
    for (Py_ssize_t i = 0; i < positional; i++)
        values[i] = given[i];
    if (names) {
        shape = &signature->shapes[intern_place(names)];
        /* Again, if what was thrown out had a destructor that called and took the place. */
        while (__builtin_expect(shape->names != names, 0))
            if (arguments_learn(signature, names, shape) != 0)
                return -1;
        if (shape->lowest < positional)
            return arguments_refuse_twice(signature, shape->lowest);
        for (unsigned i = 0; i < shape->count; i++)
            values[shape->at[i]] = given[positional + i];
    }
    for (unsigned i = 0; i < signature->required; i++)
        if (!values[i])
            return arguments_refuse_missing(signature, values);
    return 0;
}

#endif
