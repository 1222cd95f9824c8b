/* intern.h - a Python str becomes a small number: by identity first, by its text second.
 *
 * Place: keyword values -> [intern] -> handles and enumerators of <ailive/ailive.h>. Any thread, under the
 * GIL. A slot holds a reference to its str, so that an address stands for one text as long as it is there.
 *
 * Limits: INTERN_SLOTS texts by identity; by text as many as were added. */
#ifndef AILIVE_PYTHON_INTERN_H
#define AILIVE_PYTHON_INTERN_H

#include <Python.h>
#include <stdint.h>

#define INTERN_SLOTS 64u

struct intern_slot {
    PyObject *text; /* owned; NULL while empty */
    uint32_t number;
};

/* All zeroes is a fresh one. */
struct intern {
    struct intern_slot slots[INTERN_SLOTS];
    PyObject *known; /* dict: str -> int, or NULL */
};

/* Where a pointer lies in a table of 64: objects are 16 bytes apart, so the product mixes what is above. */
static inline unsigned intern_place(const void *pointer)
{
    return (unsigned)((((uint64_t)(uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15u) >> 58);
}

/* The number of this very object, if it was looked for lately. */
static inline int intern_recent(const struct intern *intern, const PyObject *text, uint32_t *out)
{
    const struct intern_slot *slot = &intern->slots[intern_place(text)];

    if (__builtin_expect(slot->text != text, 0))
        return 0;
    *out = slot->number;
    return 1;
}

/* By its text: 1 found, 0 not, -1 with an exception set (text is no str). */
int intern_find(struct intern *intern, PyObject *text, uint32_t *out);

/* Keeps a text and its number. 0, or -1 with an exception set. */
int intern_add(struct intern *intern, PyObject *text, uint32_t number);

void intern_fini(struct intern *intern);

#endif
