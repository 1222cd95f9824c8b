/* time_text.c - see time_text.h. */
#include "time_text.h"

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

/* Exactly n digits with a value between min and max. */
static bool take_number(struct cursor *cursor, int n, int min, int max, int *out)
{
    int value = 0;

    if (cursor->end - cursor->at < n)
        return false;
    for (int i = 0; i < n; i++) {
        char c = cursor->at[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    cursor->at += n;
    *out = value;
    return value >= min && value <= max;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01 in the Gregorian calendar carried back. */
static int64_t days_since_epoch(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;

    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    return days + day - 1;
}

/* Seconds since 1970 of the day. */
static bool take_date(struct cursor *cursor, int64_t *out)
{
    int year, month, day;

    if (!take_number(cursor, 4, 1, 9999, &year) || !take(cursor, '-') ||
        !take_number(cursor, 2, 1, 12, &month) || !take(cursor, '-') ||
        !take_number(cursor, 2, 1, days_in_month(year, month), &day))
        return false;
    *out = days_since_epoch(year, month, day) * 86400;
    return true;
}

/* `.digits`, one at the least. */
static bool take_fraction(struct cursor *cursor, int64_t *out_ns)
{
    int64_t unit_ns = 100000000;
    int digit, digits = 0;

    while (take_number(cursor, 1, 0, 9, &digit)) {
        if (digits++ < 6)
            *out_ns += digit * unit_ns;
        unit_ns /= 10;
    }
    return digits > 0;
}

static bool take_clock(struct cursor *cursor, int64_t *out_s, int64_t *out_ns)
{
    int hour, minute, second = 0;

    if (!take_number(cursor, 2, 0, 23, &hour) || !take(cursor, ':') ||
        !take_number(cursor, 2, 0, 59, &minute))
        return false;
    *out_ns = 0;
    if (take(cursor, ':')) {
        if (!take_number(cursor, 2, 0, 59, &second))
            return false;
        if (take(cursor, '.') && !take_fraction(cursor, out_ns))
            return false;
    }
    *out_s = hour * 3600 + minute * 60 + second;
    return true;
}

/* Z, an offset or nothing, up to the end. */
static bool take_zone(struct cursor *cursor, int64_t *out_s)
{
    int hour, minute = 0, second = 0;
    bool negative, colon;

    *out_s = 0;
    if (cursor->at == cursor->end)
        return true;
    if (take(cursor, 'Z'))
        return cursor->at == cursor->end;
    negative = *cursor->at == '-';
    if (!take(cursor, '+') && !take(cursor, '-'))
        return false;
    if (!take_number(cursor, 2, 0, 23, &hour))
        return false;
    if (cursor->at != cursor->end) {
        colon = take(cursor, ':');
        if (!take_number(cursor, 2, 0, 59, &minute))
            return false;
        if (colon && take(cursor, ':') && !take_number(cursor, 2, 0, 59, &second))
            return false;
    }
    *out_s = hour * 3600 + minute * 60 + second;
    if (negative)
        *out_s = -*out_s;
    return cursor->at == cursor->end;
}

bool time_text_parse(struct text text, __int128 *utc_ns)
{
    struct cursor cursor = {text.bytes, text.bytes + text.len_bytes};
    int64_t day_s, clock_s, zone_s, fraction_ns;

    if (!take_date(&cursor, &day_s))
        return false;
    if (!take(&cursor, 'T') && !take(&cursor, ' '))
        return false;
    if (!take_clock(&cursor, &clock_s, &fraction_ns) || !take_zone(&cursor, &zone_s))
        return false;
    *utc_ns = (__int128)(day_s + clock_s - zone_s) * 1000000000 + fraction_ns;
    return true;
}
