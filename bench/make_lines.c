/* make_lines.c - a file of sample_v1 lines, for the peers that read lines.
 *
 *     make_lines FILE BYTES      prints how many lines it has
 */
#include "event_lines.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct event_lines lines = {.random = 20260125};

    if (argc != 3)
        measure_die("usage: make_lines FILE BYTES");
    event_lines_file(&lines, argv[1], strtoull(argv[2], NULL, 10));
    printf("%llu\n", (unsigned long long)lines.lines);
    return 0;
}
