/* timer.c - `with client.timer("order_router"):`, ailive._native.Timer.
 *
 * Place: Client.timer() -> [timer] -> libailive. The thread that runs the block, under the GIL. */
#include "client.h"

struct timer {
    PyObject_HEAD struct client *client; /* owned */
    struct ailive_scope scope;
    ailive_name stage;
    int running;
    uint64_t began_ticks;
    int64_t elapsed_ns;
};

static PyObject *timer_type;

PyObject *timer_new(struct client *client, ailive_name stage, struct ailive_scope scope)
{
    struct timer *self = (struct timer *)PyType_GenericAlloc((PyTypeObject *)timer_type, 0);

    if (!self)
        return NULL;
    Py_INCREF((PyObject *)client);
    self->client = client;
    self->scope = scope;
    self->stage = stage;
    return (PyObject *)self;
}

static PyObject *timer_enter(PyObject *object, PyObject *unused)
{
    struct timer *self = (struct timer *)object;

    (void)unused;
    Py_INCREF(object);
    self->running = 1;
    self->began_ticks = ailive_ticks(); /* last: what came before is not the block's */
    return object;
}

/* The block counts however it ends; an exception goes on. */
static PyObject *timer_exit(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    struct timer *self = (struct timer *)object;

    (void)arguments;
    (void)count;
    if (self->running) {
        self->elapsed_ns = ailive_elapsed_ns(self->began_ticks);
        self->running = 0;
        (void)ailive_record_stage_for(self->client->instance, self->scope, AILIVE_NOW, self->stage,
                                      self->elapsed_ns);
    }
    Py_RETURN_NONE;
}

static PyObject *timer_elapsed(PyObject *object, void *unused)
{
    const struct timer *self = (struct timer *)object;

    (void)unused;
    return PyFloat_FromDouble(
        (double)(self->running ? ailive_elapsed_ns(self->began_ticks) : self->elapsed_ns) / 1e9);
}

static int timer_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(((struct timer *)object)->client);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

static void timer_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    Py_CLEAR(((struct timer *)object)->client);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef timer_methods[] = {
    {"__enter__", timer_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))timer_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timer_properties[] = {
    {"elapsed", timer_elapsed, NULL, "Seconds: so far, or once the block is left, in all.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int timer_ready(PyObject *module)
{
    static PyType_Slot slots[] = {
        {Py_tp_doc, (void *)"Measures a block of code; made by Client.timer()."},
        {Py_tp_methods, timer_methods},
        {Py_tp_getset, timer_properties},
        {Py_tp_traverse, (void *)timer_traverse},
        {Py_tp_dealloc, (void *)timer_dealloc},
        {0, NULL},
    };
    static PyType_Spec spec = {"ailive._native.Timer", sizeof(struct timer), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};

    timer_type = PyType_FromSpec(&spec);
    return timer_type ? PyModule_AddObjectRef(module, "Timer", timer_type) : -1;
}
