/* failure.c - why something did not open, as one line for the caller to report.
 *
 * Place on the route: beside it, at start. Owns nothing. Any thread. Never reports by itself: an error is
 * said once, by whoever decides upon it.
 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

int failure_say(char *error, size_t cap, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, cap, format, arguments);
    va_end(arguments);
    return -1;
}
