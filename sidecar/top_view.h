/* top_view.h - a status as lines of text for a terminal.
 *
 * Place on the route: json_tree -> [top_view] -> top. No threads, no I/O, no clock. Names come from events:
 * controls and format characters (U+202E) are shown as <U+202E>, so that none of them speaks to the terminal.
 */
#ifndef AILIVE_SIDECAR_TOP_VIEW_H
#define AILIVE_SIDECAR_TOP_VIEW_H

#include "json_tree.h"

#define TOP_VIEW_LINES_MAX  512u
#define TOP_VIEW_LINE_BYTES 1024u
#define TOP_VIEW_WIDTH_MAX  200u
#define TOP_VIEW_WIDTH_MIN  48u

enum top_style {
    TOP_PLAIN,
    TOP_TITLE,
    TOP_HEAD,
    TOP_GOOD,
    TOP_WARNING,
    TOP_ERROR,
    TOP_QUIET,
    TOP_STYLES
};

struct top_line {
    enum top_style style;
    char text[TOP_VIEW_LINE_BYTES];
};

struct top_view {
    unsigned width; /* columns; between the limits */
    bool ascii;     /* nothing but ASCII may be written */
    size_t count;
    struct top_line lines[TOP_VIEW_LINES_MAX];
};

/* Writes the lines; width and ascii are the caller's. */
void top_view_write(struct top_view *view, const struct json_tree *tree);

/* A line of the caller's own, in front of the others. */
void top_view_first(struct top_view *view, enum top_style style, const char *text);

#endif
