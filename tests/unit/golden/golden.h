/* golden.h - reads the golden files beside it: bytes in hexadecimal, "#" begins a comment line. For the unit
 * tests and, as first inputs, for the fuzz targets. */
#ifndef AILIVE_TESTS_GOLDEN_H
#define AILIVE_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of tests/unit/golden/<name> into out; ends the program when the file is not there or not hexadecimal:
 * without it no test that asks for it means anything. */
static inline size_t golden_read(const char *name, unsigned char *out, size_t cap_bytes)
{
    char path[4096], line[256];
    size_t len = 0;
    unsigned byte;
    int taken;
    FILE *file;

    snprintf(path, sizeof(path), "%s/unit/golden/%s", TESTS_DIR, name);
    file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "golden file %s cannot be opened\n", path);
        exit(1);
    }
    while (fgets(line, sizeof(line), file)) {
        const char *at = line;
        while (line[0] != '#' && sscanf(at, "%2x%n", &byte, &taken) == 1 && len < cap_bytes) {
            out[len++] = (unsigned char)byte;
            at += taken;
        }
    }
    fclose(file);
    return len;
}

#endif
