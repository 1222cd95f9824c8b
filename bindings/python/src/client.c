/* client.c - ailive._native.Client: Python values become the arguments of <ailive/ailive.h>.
 *
 * Place: the host's Python code -> [client] -> libailive's inline recording calls. Owns the instance and the
 * numbers of its names. Raises for wrong use only; statuses of recording calls are counted by the library. */
#include "client.h"

#include "arguments.h"

#include <math.h>
#include <string.h>

/* No handle: the sidecar counts a record with it as dropped{reason="invalid"}. */
#define NAME_UNKNOWN ((ailive_name)0xffff)

#define LATENCY_MAX_S 9223372036.0 /* what an int64_t holds in nanoseconds */

static struct intern decisions, actions;

/* ---- words with a fixed meaning ---- */

struct word {
    const char *text;
    uint32_t number;
};

static const struct word decision_words[] = {
    {"accept", AILIVE_ACCEPT}, {"reject", AILIVE_REJECT}, {"noop", AILIVE_NOOP}, {NULL, 0}};
static const struct word action_words[] = {{"none", AILIVE_ACTION_NONE},
                                           {"order_intent", AILIVE_ORDER_INTENT},
                                           {"order_request", AILIVE_ORDER_REQUEST},
                                           {"submit", AILIVE_SUBMIT},
                                           {"cancel", AILIVE_CANCEL},
                                           {"fill", AILIVE_FILL},
                                           {NULL, 0}};

static int words_intern(struct intern *intern, const struct word *words)
{
    int status = 0;

    for (; status == 0 && words->text; words++) {
        PyObject *text = PyUnicode_InternFromString(words->text);
        status = text ? intern_add(intern, text, words->number) : -1;
        Py_XDECREF(text);
    }
    return status;
}

static int word_refuse(const char *what, const struct word *words, PyObject *text)
{
    char all[128] = "";

    if (!PyUnicode_Check(text)) {
        PyErr_Format(module_bad_type, "%s must be a str, not %R", what, (PyObject *)Py_TYPE(text));
        return -1;
    }
    for (; words->text; words++) {
        strncat(all, words->text, sizeof(all) - strlen(all) - 1);
        if (words[1].text)
            strncat(all, ", ", sizeof(all) - strlen(all) - 1);
    }
    PyErr_Format(module_bad_value, "%s must be one of %s, not %R", what, all, text);
    return -1;
}

static int word_number(struct intern *intern, const char *what, const struct word *words, PyObject *text,
                       uint32_t *out)
{
    int found;

    if (intern_recent(intern, text, out))
        return 0;
    found = PyUnicode_Check(text) ? intern_find(intern, text, out) : 0;
    if (found == 0)
        return word_refuse(what, words, text);
    return found == 1 ? 0 : -1;
}

/* ---- names ---- */

static const char *const kind_words[] = {"", "reason", "stage", "component", "run_id"};

/* The text in UTF-8, fit to be registered; NULL with an exception set. */
static const char *name_text(enum ailive_name_kind kind, PyObject *text)
{
    const char *what = kind_words[kind], *bytes;
    Py_ssize_t len_bytes;

    if (!PyUnicode_Check(text)) {
        PyErr_Format(module_bad_type, "%s must be a str, not %R", what, (PyObject *)Py_TYPE(text));
        return NULL;
    }
    bytes = PyUnicode_AsUTF8AndSize(text, &len_bytes);
    if (!bytes) {
        PyErr_Clear();
        PyErr_Format(module_bad_value, "%s %A is not valid Unicode", what, text);
    } else if (len_bytes == 0 || strlen(bytes) != (size_t)len_bytes) {
        PyErr_Format(module_bad_value, "%s must not be empty or hold a NUL: %A", what, text);
    } else if (len_bytes > AILIVE_NAME_MAX_BYTES) {
        PyErr_Format(module_bad_value, "%s is %zd bytes long, %d at most: %A", what, len_bytes,
                     AILIVE_NAME_MAX_BYTES, text);
    } else {
        return bytes;
    }
    return NULL;
}

static int name_learn(struct client *self, enum ailive_name_kind kind, PyObject *text, uint32_t *out)
{
    struct intern *intern = &self->names[kind];
    const char *bytes;
    ailive_name handle;
    int found = PyUnicode_Check(text) ? intern_find(intern, text, out) : 0;

    if (found != 0)
        return found == 1 ? 0 : -1;
    bytes = name_text(kind, text);
    if (!bytes)
        return -1;
    *out = NAME_UNKNOWN;
    /* No room for another name, or closed: nothing to raise for, the record will be counted as what it is. */
    if (ailive_register(self->instance, kind, bytes, &handle) != AILIVE_OK)
        return 0;
    *out = handle;
    return intern_add(intern, text, handle);
}

/* value NULL or None: out stays. */
static inline int name_number(struct client *self, enum ailive_name_kind kind, PyObject *value,
                              ailive_name *out)
{
    uint32_t number;

    if (!value || value == Py_None)
        return 0;
    if (!intern_recent(&self->names[kind], value, &number) && name_learn(self, kind, value, &number) != 0)
        return -1;
    *out = (ailive_name)number;
    return 0;
}

static int scope_from_context(struct client *self, struct ailive_scope *out)
{
    PyObject *run_id = PyObject_CallNoArgs(module_run_id_get);
    int status = run_id ? name_number(self, AILIVE_NAME_RUN_ID, run_id, &out->run_id) : -1;

    Py_XDECREF(run_id);
    return status;
}

static inline int scope_of(struct client *self, PyObject *component, PyObject *run_id,
                           struct ailive_scope *out)
{
    out->component = AILIVE_COMPONENT_DEFAULT;
    out->run_id = AILIVE_RUN_ID_DEFAULT;
    if (name_number(self, AILIVE_NAME_COMPONENT, component, &out->component) != 0)
        return -1;
    if (__builtin_expect(module_run_id_get != NULL, 0) && (!run_id || run_id == Py_None))
        return scope_from_context(self, out);
    return name_number(self, AILIVE_NAME_RUN_ID, run_id, &out->run_id);
}

/* ---- numbers ---- */

/* What cannot be a latency is negative: counted as unobserved. */
static int64_t latency_from_seconds(double seconds)
{
    if (!(seconds >= 0) || isinf(seconds))
        return -1;
    return seconds >= LATENCY_MAX_S ? INT64_MAX : (int64_t)(seconds * 1e9 + 0.5);
}

static int latency_other(PyObject *value, int64_t *out)
{
    double seconds;

    if (value == Py_None) {
        *out = AILIVE_NO_LATENCY;
        return 0;
    }
    seconds = PyBool_Check(value) ? -1.0 : PyFloat_AsDouble(value);
    if (!PyBool_Check(value) && !(seconds == -1.0 && PyErr_Occurred())) {
        *out = latency_from_seconds(seconds);
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) { /* an int that no float holds */
        PyErr_Clear();
        *out = INT64_MAX;
        return 0;
    }
    PyErr_Clear();
    PyErr_Format(module_bad_type, "latency must be a number of seconds or None, not %R", value);
    return -1;
}

static inline int latency_ns(PyObject *value, int64_t *out)
{
    if (!value) {
        *out = AILIVE_NO_LATENCY;
        return 0;
    }
    if (!PyFloat_CheckExact(value))
        return latency_other(value, out);
    *out = latency_from_seconds(PyFloat_AsDouble(value));
    return 0;
}

static int time_of(PyObject *value, int64_t *out)
{
    *out = AILIVE_NOW;
    if (!value || value == Py_None)
        return 0;
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(module_bad_type, "time_ns must be an int, nanoseconds since 1970 in UTC, not %R", value);
        return -1;
    }
    *out = PyLong_AsLongLong(value);
    if (*out != -1 || !PyErr_Occurred())
        return 0;
    PyErr_Clear();
    PyErr_Format(module_bad_value, "time_ns is beyond 64 bits: %R", value);
    return -1;
}

/* ---- recording ---- */

enum {
    DECISION_DECISION,
    DECISION_REASON,
    DECISION_LATENCY,
    DECISION_ACTION,
    DECISION_COMPONENT,
    DECISION_RUN_ID,
    DECISION_TIME,
    DECISION_COUNT
};

static struct arguments_signature decision_signature = {
    .method = "decision",
    .positional = 1,
    .required = 1,
    .count = DECISION_COUNT,
    .names = {"decision", "reason", "latency", "action", "component", "run_id", "time_ns"}};

static PyObject *client_decision(PyObject *object, PyObject *const *given, Py_ssize_t positional,
                                 PyObject *names)
{
    struct client *self = (struct client *)object;
    PyObject *values[DECISION_COUNT] = {NULL};
    uint32_t decision = 0, action = AILIVE_ACTION_NONE;
    ailive_name reason = AILIVE_REASON_NONE;
    struct ailive_scope scope;
    int64_t latency, utc_ns;

    if (arguments_take(&decision_signature, given, positional, names, values) != 0 ||
        word_number(&decisions, "decision", decision_words, values[DECISION_DECISION], &decision) != 0 ||
        name_number(self, AILIVE_NAME_REASON, values[DECISION_REASON], &reason) != 0 ||
        latency_ns(values[DECISION_LATENCY], &latency) != 0 ||
        (values[DECISION_ACTION] && values[DECISION_ACTION] != Py_None &&
         word_number(&actions, "action", action_words, values[DECISION_ACTION], &action) != 0) ||
        scope_of(self, values[DECISION_COMPONENT], values[DECISION_RUN_ID], &scope) != 0 ||
        time_of(values[DECISION_TIME], &utc_ns) != 0)
        return NULL;
    (void)ailive_record_decision_for(self->instance, scope, utc_ns, (enum ailive_decision)decision, reason,
                                     (enum ailive_action)action, latency);
    Py_RETURN_NONE;
}

enum {
    ACTION_ACTION,
    ACTION_COMPONENT,
    ACTION_RUN_ID,
    ACTION_TIME,
    ACTION_COUNT
};

static struct arguments_signature action_signature = {.method = "action",
                                                      .positional = 1,
                                                      .required = 1,
                                                      .count = ACTION_COUNT,
                                                      .names = {"action", "component", "run_id", "time_ns"}};

static PyObject *client_action(PyObject *object, PyObject *const *given, Py_ssize_t positional,
                               PyObject *names)
{
    struct client *self = (struct client *)object;
    PyObject *values[ACTION_COUNT] = {NULL};
    struct ailive_scope scope;
    uint32_t action = AILIVE_ACTION_NONE;
    int64_t utc_ns;

    if (arguments_take(&action_signature, given, positional, names, values) != 0 ||
        word_number(&actions, "action", action_words + 1, values[ACTION_ACTION], &action) != 0 ||
        scope_of(self, values[ACTION_COMPONENT], values[ACTION_RUN_ID], &scope) != 0 ||
        time_of(values[ACTION_TIME], &utc_ns) != 0)
        return NULL;
    if (action == AILIVE_ACTION_NONE) {
        word_refuse("action", action_words + 1, values[ACTION_ACTION]);
        return NULL;
    }
    (void)ailive_record_action_for(self->instance, scope, utc_ns, (enum ailive_action)action);
    Py_RETURN_NONE;
}

enum {
    STAGE_STAGE,
    STAGE_LATENCY,
    STAGE_COMPONENT,
    STAGE_RUN_ID,
    STAGE_TIME,
    STAGE_COUNT
};

static struct arguments_signature stage_signature = {
    .method = "stage",
    .positional = 2,
    .required = 2,
    .count = STAGE_COUNT,
    .names = {"stage", "latency", "component", "run_id", "time_ns"}};

/* None is no stage. */
static int stage_number(struct client *self, PyObject *value, ailive_name *out)
{
    if (value == Py_None) {
        name_text(AILIVE_NAME_STAGE, value);
        return -1;
    }
    return name_number(self, AILIVE_NAME_STAGE, value, out);
}

static PyObject *client_stage(PyObject *object, PyObject *const *given, Py_ssize_t positional,
                              PyObject *names)
{
    struct client *self = (struct client *)object;
    PyObject *values[STAGE_COUNT] = {NULL};
    ailive_name stage = NAME_UNKNOWN;
    struct ailive_scope scope;
    int64_t latency, utc_ns;

    if (arguments_take(&stage_signature, given, positional, names, values) != 0 ||
        stage_number(self, values[STAGE_STAGE], &stage) != 0 ||
        latency_ns(values[STAGE_LATENCY], &latency) != 0 ||
        scope_of(self, values[STAGE_COMPONENT], values[STAGE_RUN_ID], &scope) != 0 ||
        time_of(values[STAGE_TIME], &utc_ns) != 0)
        return NULL;
    (void)ailive_record_stage_for(self->instance, scope, utc_ns, stage, latency);
    Py_RETURN_NONE;
}

enum {
    TIMER_STAGE,
    TIMER_COMPONENT,
    TIMER_RUN_ID,
    TIMER_COUNT
};

static struct arguments_signature timer_signature = {.method = "timer",
                                                     .positional = 1,
                                                     .required = 1,
                                                     .count = TIMER_COUNT,
                                                     .names = {"stage", "component", "run_id"}};

static PyObject *client_timer(PyObject *object, PyObject *const *given, Py_ssize_t positional,
                              PyObject *names)
{
    struct client *self = (struct client *)object;
    PyObject *values[TIMER_COUNT] = {NULL};
    ailive_name stage = NAME_UNKNOWN;
    struct ailive_scope scope;

    if (arguments_take(&timer_signature, given, positional, names, values) != 0 ||
        stage_number(self, values[TIMER_STAGE], &stage) != 0 ||
        scope_of(self, values[TIMER_COMPONENT], values[TIMER_RUN_ID], &scope) != 0)
        return NULL;
    return timer_new(self, stage, scope);
}

/* Something that was meant to be a decision and is none: counted by the sidecar as dropped{invalid}. */
static PyObject *client_invalid(PyObject *object, PyObject *unused)
{
    (void)unused;
    (void)ailive_record_decision(((struct client *)object)->instance, (enum ailive_decision)0, NAME_UNKNOWN,
                                 AILIVE_ACTION_NONE, AILIVE_NO_LATENCY);
    Py_RETURN_NONE;
}

/* ---- opening and closing ---- */

/* The library's threads. Never waits: whoever reads holds the lock for a moment. */
static void client_log(void *context, enum ailive_log_level level, const char *line)
{
    struct client_log *log = context;

    if (pthread_mutex_trylock(&log->lock) != 0)
        return;
    if (log->count < CLIENT_LOG_LINES) {
        log->levels[log->count] = (int)level;
        strncpy(log->lines[log->count], line, CLIENT_LOG_BYTES - 1);
        log->count++;
    }
    pthread_mutex_unlock(&log->lock);
}

static PyObject *client_messages(PyObject *object, PyObject *unused)
{
    struct client_log *log = &((struct client *)object)->log;
    struct client_log taken;
    PyObject *list;

    (void)unused;
    taken.count = 0;
    if (pthread_mutex_trylock(&log->lock) == 0) {
        taken = *log;
        log->count = 0;
        pthread_mutex_unlock(&log->lock);
    }
    list = PyList_New(0);
    for (unsigned i = 0; list && i < taken.count; i++) {
        PyObject *item = Py_BuildValue(
            "(iN)", taken.levels[i],
            PyUnicode_DecodeUTF8(taken.lines[i], (Py_ssize_t)strlen(taken.lines[i]), "replace"));
        if (!item || PyList_Append(list, item) != 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *client_open(PyObject *object, PyObject *arguments)
{
    struct client *self = (struct client *)object;
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    unsigned long long file_bytes, max_bytes;
    int status;

    if (!PyArg_ParseTuple(arguments, "zzzzzIIKKzzpp:_open", &options.component, &options.run_id,
                          &options.ipc_url, &options.runtime_dir, &options.spool_dir, &options.ring_records,
                          &options.spool_after_ms, &file_bytes, &max_bytes, &options.tls_cert,
                          &options.tls_ca, &options.remote_plaintext, &options.memory_sink))
        return NULL;
    if (self->instance) {
        PyErr_SetString(module_bad_value, "this client is open");
        return NULL;
    }
    options.spool_file_bytes = file_bytes;
    options.spool_max_bytes = max_bytes;
    options.log = client_log;
    options.log_context = &self->log;
    Py_BEGIN_ALLOW_THREADS;
    status = ailive_open(&options, &self->instance);
    Py_END_ALLOW_THREADS;
    return Py_BuildValue("(is)", status, ailive_strerror(status));
}

static uint32_t timeout_ms_from(double seconds)
{
    double ms = ceil(seconds * 1000);

    return !(ms > 0) ? 0 : ms >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static PyObject *client_wait(PyObject *object, PyObject *arguments,
                             int (*call)(struct ailive *instance, uint32_t timeout_ms))
{
    struct ailive *instance = ((struct client *)object)->instance;
    double seconds;
    int status;

    if (!PyArg_ParseTuple(arguments, "d", &seconds))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    status = call(instance, timeout_ms_from(seconds));
    Py_END_ALLOW_THREADS;
    return PyLong_FromLong(status);
}

static PyObject *client_flush(PyObject *object, PyObject *arguments)
{
    return client_wait(object, arguments, ailive_flush);
}

static PyObject *client_close(PyObject *object, PyObject *arguments)
{
    return client_wait(object, arguments, ailive_close);
}

static PyObject *client_stats(PyObject *object, PyObject *unused)
{
    struct ailive_stats stats = {0};

    (void)unused;
    (void)ailive_stats(((struct client *)object)->instance, &stats);
    return Py_BuildValue("(KKKKKKKKKKIO)", stats.recorded, stats.dropped_full, stats.dropped_ring,
                         stats.ignored, stats.shipped, stats.spooled, stats.dropped_spool, stats.pending,
                         stats.spool_bytes, stats.wakeups, stats.rings, stats.connected ? Py_True : Py_False);
}

static const char *word_of(const struct word *words, uint32_t number)
{
    for (; words->text; words++)
        if (words->number == number)
            return words->text;
    return NULL;
}

/* The next record of the memory sink as a tuple; None when nothing is there. */
static PyObject *client_read(PyObject *object, PyObject *unused)
{
    static const char *const kinds[] = {NULL, "decision", "action", "stage"};
    struct ailive_record record;

    (void)unused;
    if (ailive_memory_read(((struct client *)object)->instance, &record) != 1)
        Py_RETURN_NONE;
    return Py_BuildValue("(szszzzsLL)", kinds[record.kind], word_of(decision_words, record.decision),
                         word_of(action_words, record.action), record.reason, record.stage, record.component,
                         record.run_id, (long long)record.time_ns, (long long)record.latency_ns);
}

/* ---- the type ---- */

static PyObject *client_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    struct client *self = (struct client *)PyType_GenericAlloc(type, 0);

    (void)arguments;
    (void)keywords;
    if (self)
        pthread_mutex_init(&self->log.lock, NULL);
    return (PyObject *)self;
}

/* Nobody can flush any more: what is not yet acknowledged goes to the spool. */
static void client_dealloc(PyObject *object)
{
    struct client *self = (struct client *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    if (self->instance) {
        Py_BEGIN_ALLOW_THREADS;
        (void)ailive_close(self->instance, 0);
        Py_END_ALLOW_THREADS;
    }
    for (unsigned kind = 0; kind <= AILIVE_NAME_RUN_ID; kind++)
        intern_fini(&self->names[kind]);
    release(object);
    Py_DECREF(type);
}

#define FAST (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef client_methods[] = {
    {"decision", (PyCFunction)(void (*)(void))client_decision, FAST,
     "decision($self, /, decision, *, reason='none', latency=None, action='none', component=None, "
     "run_id=None, "
     "time_ns=None)\n--\n\n"
     "Records one decision. Never blocks; a full ring drops the record and counts the drop (stats()).\n\n"
     "decision: 'accept', 'reject' or 'noop'. reason: why; 1 to 96 bytes of UTF-8, None means 'none'.\n"
     "latency: how long it took, in seconds; None when unknown. A negative, infinite or NaN one is not\n"
     "observed and counted as such; the decision itself counts. action: what it led to: 'none',\n"
     "'order_intent', 'order_request', 'submit', 'cancel' or 'fill'. component, run_id: for whom, when not\n"
     "for those of the client. time_ns: when, in nanoseconds since 1970 UTC; None means now.\n\n"
     "Raises BadValue (an unknown word, a name too long) or BadType. Never because telemetry is unwell."},
    {"action", (PyCFunction)(void (*)(void))client_action, FAST,
     "action($self, /, action, *, component=None, run_id=None, time_ns=None)\n--\n\n"
     "Records an action without a decision: 'order_intent', 'order_request', 'submit', 'cancel' or "
     "'fill'.\n\n"
     "Parameters and errors as in decision()."},
    {"stage", (PyCFunction)(void (*)(void))client_stage, FAST,
     "stage($self, /, stage, latency, *, component=None, run_id=None, time_ns=None)\n--\n\n"
     "Records how long one stage of the work took: its name (1 to 96 bytes of UTF-8) and seconds.\n\n"
     "Parameters and errors as in decision(). timer() measures by itself."},
    {"timer", (PyCFunction)(void (*)(void))client_timer, FAST,
     "timer($self, /, stage, *, component=None, run_id=None)\n--\n\n"
     "A context manager that records how long its block took as a stage, however the block ends.\n"
     "Its attribute `elapsed` is in seconds. Raises BadValue, BadType."},
    {"_invalid", client_invalid, METH_NOARGS, NULL},
    {"_messages", client_messages, METH_NOARGS, NULL},
    {"_open", client_open, METH_VARARGS, NULL},
    {"_flush", client_flush, METH_VARARGS, NULL},
    {"_close", client_close, METH_VARARGS, NULL},
    {"_stats", client_stats, METH_NOARGS, NULL},
    {"_read", client_read, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int client_ready(PyObject *module)
{
    static PyType_Slot slots[] = {
        {Py_tp_doc, (void *)"An open instance of libailive; ailive.open() makes one."},
        {Py_tp_new, (void *)client_new},
        {Py_tp_methods, client_methods},
        {Py_tp_dealloc, (void *)client_dealloc},
        {0, NULL},
    };
    static PyType_Spec spec = {"ailive._native.Client", sizeof(struct client), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    PyObject *type;
    int status;

    if (words_intern(&decisions, decision_words) != 0 || words_intern(&actions, action_words) != 0)
        return -1;
    type = PyType_FromSpec(&spec);
    if (!type)
        return -1;
    status = PyModule_AddObjectRef(module, "Client", type);
    Py_DECREF(type);
    return status;
}
