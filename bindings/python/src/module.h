/* module.h - what the files of the extension ailive._native share.
 *
 * The extension turns Python values into the arguments of <ailive/ailive.h> and calls it: it has no logic of
 * its own, and reads no internals of the library. One interpreter a process: state is static. */
#ifndef AILIVE_PYTHON_MODULE_H
#define AILIVE_PYTHON_MODULE_H

#include <Python.h>

#include <ailive/ailive.h>

/* ailive.BadType and ailive.BadValue: wrong use, and nothing else, raises. */
extern PyObject *module_bad_type;
extern PyObject *module_bad_value;

/* The method get() of the context variable that holds the run id, once somebody has set it; else NULL. */
extern PyObject *module_run_id_get;

/* Add their type to the module. 0, or -1 with an exception set. */
int client_ready(PyObject *module);
int timer_ready(PyObject *module);

struct client;

/* A running measurement of a stage, whose handle and scope are known. NULL with an exception set. */
PyObject *timer_new(struct client *client, ailive_name stage, struct ailive_scope scope);

#endif
