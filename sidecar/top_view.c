/* top_view.c - see top_view.h. Each part of the screen has one function, in the order in which they stand. */
#include "top_view.h"

#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 256u
#define PATH_BYTES 96u
#define STEPS_MAX  900u

/* ---- text ---- */

/* The code point of a valid character of n bytes. */
static uint32_t code_of(const char *at, size_t n)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)at[0] & first[n];

    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    return code;
}

/* Controls, and what is not seen itself but changes how others are: Unicode's format characters (those that
 * turn the direction of writing among them), line separators and tags. */
static bool is_hidden(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},
                  {0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},
                  {0x8e2, 0x8e2},     {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},
                  {0x2060, 0x206f},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0x110bd, 0x110bd},
                  {0x110cd, 0x110cd}, {0x13430, 0x1345f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
                  {0xe0000, 0xe0fff}};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (code >= hidden[i].first && code <= hidden[i].last)
            return true;
    return false;
}

/* One character as the terminal may have it: itself, `<U+202E>`, or `?`. n: its bytes, 0 when it is none. */
static const char *shown(const struct top_view *view, const char *at, size_t n, char out[16])
{
    uint32_t code = n > 0 ? code_of(at, n) : 0;

    if (n > 0 && is_hidden(code))
        snprintf(out, 16, "<U+%04X>", (unsigned)code);
    else if (n == 0 || (view->ascii && n > 1))
        snprintf(out, 16, "?");
    else
        snprintf(out, 16, "%.*s", (int)n, at);
    return out;
}

static size_t columns_of(const char *text)
{
    size_t columns = 0;

    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

/* Copies what fits into `columns` columns, each character as it may be shown; ends before one that does not.
 */
static size_t put_clean(const struct top_view *view, const char *text, unsigned columns, char *out,
                        size_t cap)
{
    size_t len_bytes = strlen(text), used = 0;

    for (size_t i = 0; i < len_bytes;) {
        size_t n = text_character_bytes(text + i, len_bytes - i), bytes;
        char character[16];

        bytes = strlen(shown(view, text + i, n, character));
        if (columns_of(character) > columns || used + bytes >= cap)
            break;
        columns -= (unsigned)columns_of(character);
        memcpy(out + used, character, bytes);
        used += bytes;
        i += n > 0 ? n : 1;
    }
    out[used] = '\0';
    return used;
}

static struct top_line *add(struct top_view *view, enum top_style style)
{
    struct top_line *line;

    if (view->count == TOP_VIEW_LINES_MAX)
        view->count--; /* the last one is written over */
    line = &view->lines[view->count++];
    line->style = style;
    line->text[0] = '\0';
    return line;
}

static void say(struct top_view *view, enum top_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct top_view *view, enum top_style style, const char *format, ...)
{
    char text[TOP_VIEW_LINE_BYTES];
    struct top_line *line = add(view, style);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put_clean(view, text, view->width, line->text, sizeof(line->text));
}

/* In as many lines as it takes, each but the first two columns further in; cut at spaces. */
static void say_wrapped(struct top_view *view, enum top_style style, unsigned indent, const char *text)
{
    size_t width = view->width - indent - 2, len_bytes = strlen(text), at = 0;

    while (at < len_bytes) {
        unsigned margin = at > 0 ? indent + 2 : indent;
        size_t n = len_bytes - at;

        if (n > width) {
            for (n = width; n > 0 && text[at + n] != ' '; n--)
                ;
            n = n > 0 ? n : width;
        }
        say(view, style, "%*s%.*s", (int)margin, "", (int)n, text + at);
        for (at += n; text[at] == ' '; at++)
            ;
    }
}

void top_view_first(struct top_view *view, enum top_style style, const char *text)
{
    if (view->count == TOP_VIEW_LINES_MAX)
        view->count--;
    memmove(&view->lines[1], &view->lines[0], view->count * sizeof(view->lines[0]));
    view->count++;
    view->lines[0].style = style;
    put_clean(view, text, view->width, view->lines[0].text, sizeof(view->lines[0].text));
}

/* One cell of a table: columns > 0 from the left, < 0 from the right; one space before all but the first. */
static void cell(const struct top_view *view, struct top_line *line, int columns, const char *text)
{
    char clean[TOP_VIEW_LINE_BYTES];
    unsigned width = (unsigned)(columns < 0 ? -columns : columns);
    size_t used = strlen(line->text);
    int pad;

    put_clean(view, text, width, clean, sizeof(clean));
    pad = (int)(width - columns_of(clean));
    if (used > 0)
        used += (size_t)snprintf(line->text + used, sizeof(line->text) - used, " ");
    snprintf(line->text + used, sizeof(line->text) - used, "%*s%s%*s", columns < 0 ? pad : 0, "", clean,
             columns < 0 ? 0 : pad, "");
}

static void cell_count(const struct top_view *view, struct top_line *line, int columns, double value)
{
    char text[32] = "-";

    if (!isnan(value))
        snprintf(text, sizeof(text), "%.0f", value);
    cell(view, line, columns, text);
}

/* ---- asking ---- */

static double number_at(const struct json_tree *tree, const char *list, size_t i, const char *key)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "/%s/rows/%zu/%s", list, i, key);
    return json_tree_number(tree, path);
}

static void text_at(const struct json_tree *tree, const char *list, size_t i, const char *key,
                    char out[NAME_BYTES])
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "/%s/rows/%zu/%s", list, i, key);
    json_tree_text(tree, path, out, NAME_BYTES);
}

static size_t rows_of(const struct json_tree *tree, const char *list)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "/%s/rows", list);
    return json_tree_count(tree, path);
}

static void say_more(struct top_view *view, const struct json_tree *tree, const char *list)
{
    char path[PATH_BYTES];
    double more;

    snprintf(path, sizeof(path), "/%s/more", list);
    more = json_tree_number(tree, path);
    if (more > 0)
        say(view, TOP_QUIET, "%.0f more: see /metrics", more);
}

static const char *spoken(double seconds, char out[32])
{
    const char *sign = seconds < 0 ? "-" : "";
    double s = fabs(seconds);

    if (isnan(s))
        snprintf(out, 32, "-");
    else if (s < 120)
        snprintf(out, 32, "%s%.*f s", sign, s < 10 ? 1 : 0, s);
    else if (s < 7200)
        snprintf(out, 32, "%s%.0f min", sign, floor(s / 60));
    else if (s < 172800)
        snprintf(out, 32, "%s%.0f h", sign, floor(s / 3600));
    else
        snprintf(out, 32, "%s%.0f days", sign, floor(s / 86400));
    return out;
}

static const char *milliseconds(double ms, char out[32])
{
    if (isnan(ms))
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.*f ms", ms < 100 ? 1 : 0, ms);
    return out;
}

/* ---- the parts ---- */

static enum top_style level_style(const char *level)
{
    return strcmp(level, "ok") == 0 ? TOP_GOOD : strcmp(level, "warning") == 0 ? TOP_WARNING : TOP_ERROR;
}

static void put_health(struct top_view *view, const struct json_tree *tree)
{
    char level[NAME_BYTES], text[NAME_BYTES * 2];
    size_t problems = json_tree_count(tree, "/health/problems");

    json_tree_text(tree, "/health/level", level, sizeof(level));
    json_tree_text(tree, "/health/text", text, sizeof(text));
    say_wrapped(view, level_style(level), 0, text);
    for (size_t i = 0; i < problems; i++) {
        char path[PATH_BYTES], advice[NAME_BYTES * 2];

        snprintf(path, sizeof(path), "/health/problems/%zu/what", i);
        json_tree_text(tree, path, text, sizeof(text));
        snprintf(path, sizeof(path), "/health/problems/%zu/advice", i);
        json_tree_text(tree, path, advice, sizeof(advice));
        if (i > 0)
            say_wrapped(view, TOP_WARNING, 0, text);
        say_wrapped(view, TOP_QUIET, 2, advice);
    }
}

static void put_rates(struct top_view *view, const struct json_tree *tree)
{
    say(view, TOP_PLAIN, "decisions/s %.1f  accept %.1f  reject %.1f  noop %.1f  other %.1f  actions/s %.1f",
        json_tree_number(tree, "/rates/decisions_per_s"), json_tree_number(tree, "/rates/accept_per_s"),
        json_tree_number(tree, "/rates/reject_per_s"), json_tree_number(tree, "/rates/noop_per_s"),
        json_tree_number(tree, "/rates/other_per_s"), json_tree_number(tree, "/rates/actions_per_s"));
    say(view, TOP_PLAIN, "decisions   %.0f  accept %.0f  reject %.0f  noop %.0f  other %.0f",
        json_tree_number(tree, "/decisions/total"), json_tree_number(tree, "/decisions/accept"),
        json_tree_number(tree, "/decisions/reject"), json_tree_number(tree, "/decisions/noop"),
        json_tree_number(tree, "/decisions/other"));
}

static void put_latency(struct top_view *view, const struct json_tree *tree)
{
    char p50[32], p95[32], p99[32];

    say(view, TOP_PLAIN, "latency     p50 %s  p95 %s  p99 %s  (5 min)",
        milliseconds(json_tree_number(tree, "/latency_ms/p50"), p50),
        milliseconds(json_tree_number(tree, "/latency_ms/p95"), p95),
        milliseconds(json_tree_number(tree, "/latency_ms/p99"), p99));
}

static void put_losses(struct top_view *view, const struct json_tree *tree)
{
    double records = json_tree_number(tree, "/losses/records_recent");
    double lines = json_tree_number(tree, "/losses/lines_recent");

    say(view,
        records > 0 ? TOP_ERROR
        : lines > 0 ? TOP_WARNING
                    : TOP_GOOD,
        "lost        records %.0f  lines %.0f  (15 min; %.0f and %.0f in all)", records, lines,
        json_tree_number(tree, "/losses/records_total"), json_tree_number(tree, "/losses/lines_total"));
}

/* All decisions of each second; returns how many seconds. */
static size_t decisions_of(const struct json_tree *tree, double sums[STEPS_MAX])
{
    static const char *const kinds[] = {"accept", "reject", "noop", "other"};
    double of[STEPS_MAX];
    size_t n, count = 0;

    memset(sums, 0, STEPS_MAX * sizeof(sums[0]));
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        char path[PATH_BYTES];

        snprintf(path, sizeof(path), "/history/%s", kinds[k]);
        n = json_tree_numbers(tree, path, of, STEPS_MAX);
        for (size_t i = 0; i < n; i++)
            sums[i] += of[i];
        count = n > count ? n : count;
    }
    return count;
}

/* The last quarter of an hour in as many bars as there are columns; the newest at the right. */
static void put_bars(struct top_view *view, const struct json_tree *tree)
{
    static const char *const fine[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const coarse[] = {" ", ".", ".", ":", ":", "-", "=", "+", "#"};
    double sums[STEPS_MAX], bars[TOP_VIEW_WIDTH_MAX] = {0}, most = 0;
    size_t count = decisions_of(tree, sums), width = view->width - 12;
    char text[TOP_VIEW_LINE_BYTES] = "", *at = text;

    for (size_t i = 0; i < count; i++)
        bars[(STEPS_MAX - count + i) * width / STEPS_MAX] += sums[i];
    for (size_t i = 0; i < width; i++)
        most = bars[i] > most ? bars[i] : most;
    for (size_t i = 0; i < width; i++) {
        size_t height = most > 0 ? (size_t)ceil(bars[i] / most * 8) : 0;

        at = stpcpy(at, view->ascii ? coarse[height] : fine[height]); /* three bytes at most */
    }
    say(view, TOP_PLAIN, "15 min      %s", text);
}

static void put_rejects(struct top_view *view, const struct json_tree *tree)
{
    int name = (int)(view->width - 24) / 2;
    size_t rows = rows_of(tree, "rejects");
    struct top_line *line;
    char text[NAME_BYTES];

    if (rows > 0) {
        text_at(tree, "components", 0, "component", text);
        say(view, TOP_TITLE, "%s rejects most: %.0f in the last 15 minutes, %.0f in all", text,
            number_at(tree, "components", 0, "reject_recent"), number_at(tree, "components", 0, "reject"));
    }
    line = add(view, TOP_HEAD);
    cell(view, line, name, "REJECTS OF");
    cell(view, line, name, "REASON");
    cell(view, line, -9, "15 MIN");
    cell(view, line, -11, "IN ALL");
    for (size_t i = 0; i < rows; i++) {
        line = add(view, TOP_PLAIN);
        text_at(tree, "rejects", i, "component", text);
        cell(view, line, name, text);
        text_at(tree, "rejects", i, "reason", text);
        cell(view, line, name, text);
        cell_count(view, line, -9, number_at(tree, "rejects", i, "recent"));
        cell_count(view, line, -11, number_at(tree, "rejects", i, "count"));
    }
    if (rows == 0)
        say(view, TOP_QUIET, "none yet");
    say_more(view, tree, "rejects");
}

static void put_loss_rows(struct top_view *view, const struct json_tree *tree)
{
    char source[NAME_BYTES], reason[NAME_BYTES];

    for (size_t i = 0; i < rows_of(tree, "losses/records"); i++) {
        text_at(tree, "losses/records", i, "reason", reason);
        say(view, TOP_ERROR, "lost record, %s: %.0f", reason, number_at(tree, "losses/records", i, "count"));
    }
    for (size_t i = 0; i < rows_of(tree, "losses/lines"); i++) {
        text_at(tree, "losses/lines", i, "source", source);
        text_at(tree, "losses/lines", i, "reason", reason);
        say(view, TOP_WARNING, "dropped line, %s, %s: %.0f", source, reason,
            number_at(tree, "losses/lines", i, "count"));
    }
}

static void put_producers(struct top_view *view, const struct json_tree *tree)
{
    int name = (int)view->width - 48;
    struct top_line *line = add(view, TOP_HEAD);
    char text[NAME_BYTES];
    size_t rows = rows_of(tree, "producers");

    name = name > 8 ? name : 8;
    cell(view, line, name, "PRODUCER");
    cell(view, line, -8, "PID");
    cell(view, line, -9, "A SECOND");
    cell(view, line, -8, "WAITING");
    cell(view, line, -8, "DROPPED");
    for (size_t i = 0; i < rows; i++) {
        char rate[32];

        line = add(view, number_at(tree, "producers", i, "dropped") > 0 ? TOP_ERROR : TOP_PLAIN);
        text_at(tree, "producers", i, "component", text);
        cell(view, line, name, text);
        cell_count(view, line, -8, number_at(tree, "producers", i, "pid"));
        snprintf(rate, sizeof(rate), "%.1f", number_at(tree, "producers", i, "recorded_per_s"));
        cell(view, line, -9, rate);
        cell_count(view, line, -8, number_at(tree, "producers", i, "backlog"));
        cell_count(view, line, -8, number_at(tree, "producers", i, "dropped"));
    }
    if (rows == 0)
        say(view, TOP_QUIET, "none connected");
    say_more(view, tree, "producers");
}

static void put_files(struct top_view *view, const struct json_tree *tree)
{
    struct top_line *line = add(view, TOP_HEAD);
    char text[NAME_BYTES];
    size_t rows = rows_of(tree, "files");

    cell(view, line, (int)view->width - 16, "FILE");
    cell(view, line, -14, "BYTES BEHIND");
    for (size_t i = 0; i < rows; i++) {
        line = add(view, TOP_PLAIN);
        text_at(tree, "files", i, "path", text);
        cell(view, line, (int)view->width - 16, text);
        cell_count(view, line, -14, number_at(tree, "files", i, "lag_bytes"));
    }
    line = add(view, TOP_PLAIN);
    cell(view, line, (int)view->width - 16, "spool files");
    cell_count(view, line, -14, json_tree_number(tree, "/spool/lag_bytes"));
    say_more(view, tree, "files");
}

static void put_runs(struct top_view *view, const struct json_tree *tree)
{
    int name = (int)(view->width - 28) / 2;
    struct top_line *line = add(view, TOP_HEAD);
    char text[NAME_BYTES], age[32];
    size_t rows = rows_of(tree, "runs");

    cell(view, line, name, "RUN");
    cell(view, line, name, "COMPONENT");
    cell(view, line, 13, "SOURCE");
    cell(view, line, -10, "AGE");
    for (size_t i = 0; i < rows; i++) {
        line = add(view, TOP_PLAIN);
        text_at(tree, "runs", i, "run_id", text);
        cell(view, line, name, text);
        text_at(tree, "runs", i, "component", text);
        cell(view, line, name, text);
        text_at(tree, "runs", i, "source", text);
        cell(view, line, 13, text);
        cell(view, line, -10, spoken(number_at(tree, "runs", i, "age_s"), age));
    }
    say_more(view, tree, "runs");
}

static void put_warnings(struct top_view *view, const struct json_tree *tree)
{
    char level[NAME_BYTES], text[NAME_BYTES * 2], age[32], path[PATH_BYTES];
    double now_s = json_tree_number(tree, "/now_s");
    size_t rows = rows_of(tree, "warnings");

    if (rows == 0)
        return;
    add(view, TOP_PLAIN);
    say(view, TOP_HEAD, "LAST WARNINGS");
    for (size_t i = 0; i < rows; i++) {
        text_at(tree, "warnings", i, "level", level);
        snprintf(path, sizeof(path), "/warnings/rows/%zu/text", i);
        json_tree_text(tree, path, text, sizeof(text));
        say(view, level_style(level), "%s ago: %s",
            spoken(now_s - number_at(tree, "warnings", i, "time_s"), age), text);
    }
}

static void put_title(struct top_view *view, const struct json_tree *tree)
{
    char component[NAME_BYTES], run_id[NAME_BYTES], version[NAME_BYTES], up[32];

    json_tree_text(tree, "/component", component, sizeof(component));
    json_tree_text(tree, "/run_id", run_id, sizeof(run_id));
    json_tree_text(tree, "/version", version, sizeof(version));
    say(view, TOP_TITLE, "ailive %s  %s  run %s  up %s", version, component, run_id,
        spoken(json_tree_number(tree, "/uptime_s"), up));
}

void top_view_write(struct top_view *view, const struct json_tree *tree)
{
    view->count = 0;
    if (view->width > TOP_VIEW_WIDTH_MAX)
        view->width = TOP_VIEW_WIDTH_MAX;
    if (view->width < TOP_VIEW_WIDTH_MIN)
        view->width = TOP_VIEW_WIDTH_MIN;
    put_title(view, tree);
    put_health(view, tree);
    add(view, TOP_PLAIN);
    put_rates(view, tree);
    put_bars(view, tree);
    put_latency(view, tree);
    put_losses(view, tree);
    put_loss_rows(view, tree);
    add(view, TOP_PLAIN);
    put_rejects(view, tree);
    add(view, TOP_PLAIN);
    put_producers(view, tree);
    add(view, TOP_PLAIN);
    put_files(view, tree);
    add(view, TOP_PLAIN);
    put_runs(view, tree);
    put_warnings(view, tree);
}
