/* command_top.c - `ailive top`: the status of a sidecar in a terminal, live; plain lines when there is none.
 *
 * Place on the route: http_get's bytes -> json_tree -> top_view -> [top] -> a terminal or a pipe. The only
 * file that names ncurses. One thread. GET only.
 */
#include "buffer.h"
#include "command.h"
#include "config.h"
#include "http_get.h"
#include "json_tree.h"
#include "proof.h"
#include "top_view.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ERROR_BYTES  512u
#define PLAIN_WIDTH  100u
#define INTERVAL_MAX 3600u
#define FRAMES_MAX   1000000u
#define PAGE_LINES   10

static const char help[] =
    "Usage: ailive top [--url URL] [--interval-s S] [--n N]\n"
    "Show what a sidecar counts, live: its health, who rejects most and why, what is lost, its\n"
    "producers and files. Keys: q quits, arrows and page keys scroll. Without a terminal on stdout:\n"
    "the same as plain lines, once. GET requests only.\n"
    "\n"
    "  --url URL       default $EXPORTER_URL, else " PROOF_EXPORTER_URL_DEFAULT "\n"
    "  --interval-s S  between two looks, 1 to 3600 (default 1)\n"
    "  --n N           end after so many looks; default: 1 without a terminal, else never\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 fine, 1 nothing answered, 2 wrong usage.\n";

static const struct option options[] = {{"url", required_argument, 0, 'u'},
                                        {"interval-s", required_argument, 0, 'i'},
                                        {"n", required_argument, 0, 'n'},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

struct top {
    const char *url;
    uint64_t interval_s, frames; /* frames 0: for ever */
    struct http_get *get;
    struct json_tree *tree;
    struct buffer path, body;
    struct top_view *view;
    bool known;   /* the tree holds a status */
    bool stopped; /* the last question was not answered: error says why */
    time_t answered;
    char error[ERROR_BYTES];
    int scroll;
};

/* ---- asking ---- */

static int top_open(struct top *top)
{
    setlocale(LC_CTYPE, "");
    top->get = http_get_new(top->error, sizeof(top->error));
    if (top->get == NULL)
        return -1;
    top->tree = json_tree_new();
    top->view = calloc(1, sizeof(*top->view));
    if (top->tree == NULL || top->view == NULL ||
        !http_get_url(top->get, &top->path, top->url, "/api/v1/status", NULL)) {
        snprintf(top->error, sizeof(top->error), "out of memory");
        return -1;
    }
    top->view->ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    return 0;
}

static void top_close(struct top *top)
{
    free(top->view);
    json_tree_free(top->tree);
    buffer_fini(&top->body);
    buffer_fini(&top->path);
    http_get_free(top->get);
}

static void look(struct top *top)
{
    int status = http_get(top->get, top->path.bytes, &top->body, top->error, sizeof(top->error));

    top->stopped = true;
    if (status != 200) {
        if (status != 0)
            snprintf(top->error, sizeof(top->error), "%s: %s", top->url,
                     status == 503 ? "the sidecar is starting" : "no sidecar's status is there");
        return;
    }
    top->known = json_tree_read(top->tree, top->body.bytes, top->body.used, top->error, sizeof(top->error));
    top->stopped = !top->known;
    if (top->known)
        top->answered = time(NULL);
}

static void write_view(struct top *top, unsigned width)
{
    char text[ERROR_BYTES + 96], when[32] = "";
    struct tm tm;

    top->view->width = width;
    top->view->count = 0;
    if (top->known)
        top_view_write(top->view, top->tree);
    if (!top->stopped)
        return;
    if (top->known && localtime_r(&top->answered, &tm) != NULL)
        strftime(when, sizeof(when), " since %H:%M:%S", &tm);
    snprintf(text, sizeof(text), "STOPPED%s: %s", when, top->error);
    top_view_first(top->view, TOP_ERROR, text);
}

/* ---- without a terminal ---- */

static int run_plain(struct top *top)
{
    const struct timespec pause = {.tv_sec = (time_t)top->interval_s};

    for (uint64_t frame = 0; frame < (top->frames > 0 ? top->frames : 1); frame++) {
        if (frame > 0) {
            putchar('\n');
            nanosleep(&pause, NULL);
        }
        look(top);
        if (top->stopped && !top->known) {
            fprintf(stderr, "ailive top: %s; is the sidecar running?\n", top->error);
            return COMMAND_FAILED;
        }
        write_view(top, PLAIN_WIDTH);
        for (size_t i = 0; i < top->view->count; i++)
            puts(top->view->lines[i].text);
        if (fflush(stdout) != 0)
            return COMMAND_FAILED;
    }
    return top->stopped ? COMMAND_FAILED : COMMAND_OK;
}

/* ---- in a terminal ---- */

static void styles_make(chtype styles[TOP_STYLES])
{
    static const short colours[TOP_STYLES] = {
        [TOP_GOOD] = COLOR_GREEN, [TOP_WARNING] = COLOR_YELLOW, [TOP_ERROR] = COLOR_RED};

    memset(styles, 0, TOP_STYLES * sizeof(styles[0]));
    styles[TOP_TITLE] = A_BOLD;
    styles[TOP_HEAD] = A_UNDERLINE;
    styles[TOP_QUIET] = A_DIM;
    styles[TOP_ERROR] = A_BOLD;
    if (!has_colors() || start_color() == ERR || use_default_colors() == ERR)
        return;
    for (short style = 0; style < (short)TOP_STYLES; style++)
        if (colours[style] != 0 && init_pair(style, colours[style], -1) != ERR)
            styles[style] |= (chtype)COLOR_PAIR(style);
}

/* The bytes of a line that fit: a longer one would go on in the next row. */
static int fitting(const char *text, int columns)
{
    int bytes = 0;

    for (; text[bytes] != '\0'; bytes++)
        if (((unsigned char)text[bytes] & 0xc0) != 0x80 && columns-- <= 0)
            break;
    return bytes;
}

static void draw(struct top *top, const chtype styles[TOP_STYLES])
{
    int rows = getmaxy(stdscr), columns = getmaxx(stdscr) - 1, last; /* a full last column would wrap */

    write_view(top, (unsigned)columns);
    last = (int)top->view->count - rows;
    if (top->scroll > last)
        top->scroll = last;
    if (top->scroll < 0)
        top->scroll = 0;
    erase();
    for (int row = 0; row < rows && row + top->scroll < (int)top->view->count; row++) {
        const struct top_line *line = &top->view->lines[row + top->scroll];

        attrset((int)styles[line->style]);
        mvaddnstr(row, 0, line->text, fitting(line->text, columns));
    }
    refresh();
}

/* Until it is time to look again. false: quit. */
static bool handle_keys(struct top *top, const chtype styles[TOP_STYLES])
{
    int64_t left_ms = (int64_t)top->interval_s * 1000;
    struct timespec begun, now;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    while (left_ms > 0) {
        int key;

        timeout((int)left_ms);
        key = getch();
        if (key == 'q' || key == 'Q')
            return false;
        top->scroll += key == KEY_DOWN    ? 1
                       : key == KEY_UP    ? -1
                       : key == KEY_NPAGE ? PAGE_LINES
                       : key == KEY_PPAGE ? -PAGE_LINES
                                          : 0;
        if (key != ERR)
            draw(top, styles);
        clock_gettime(CLOCK_MONOTONIC, &now);
        left_ms = (int64_t)top->interval_s * 1000 - (now.tv_sec - begun.tv_sec) * 1000 -
                  (now.tv_nsec - begun.tv_nsec) / 1000000;
    }
    return true;
}

static int run_terminal(struct top *top)
{
    chtype styles[TOP_STYLES];
    SCREEN *screen = newterm(NULL, stdout, stdin);
    uint64_t frame = 0;

    if (screen == NULL) {
        fprintf(stderr, "ailive top: the terminal %s is unknown; plain lines: ailive top | cat\n",
                getenv("TERM") != NULL ? getenv("TERM") : "($TERM is not set)");
        return COMMAND_FAILED;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    styles_make(styles);
    do {
        look(top);
        draw(top, styles);
    } while (++frame != top->frames && handle_keys(top, styles));
    endwin();
    delscreen(screen);
    return top->known ? COMMAND_OK : COMMAND_FAILED;
}

/* ---- the command ---- */

static int take_option(struct top *top, int option, const char *value)
{
    char error[256];
    bool fine = true;

    if (option == 'u')
        top->url = value;
    else if (option == 'i')
        fine = config_number("--interval-s", value, 1, INTERVAL_MAX, &top->interval_s, error, sizeof(error));
    else
        fine = config_number("--n", value, 1, FRAMES_MAX, &top->frames, error, sizeof(error));
    return fine ? COMMAND_OK : command_usage("top", "%s", error);
}

int command_top(int argc, char **argv)
{
    const char *given = getenv("EXPORTER_URL");
    struct top top = {.url = given != NULL && given[0] != '\0' ? given : PROOF_EXPORTER_URL_DEFAULT,
                      .interval_s = 1};
    int option, status = COMMAND_OK;

    while ((option = command_next_option(argc, argv, options, help, &status)) >= 0)
        if ((status = take_option(&top, option, optarg)) != COMMAND_OK)
            return status;
    if (option == -2)
        return status;
    if (optind < argc)
        return command_usage("top", "'%.80s' is no option", argv[optind]);
    if (top_open(&top) != 0) {
        fprintf(stderr, "ailive top: %s\n", top.error);
        status = COMMAND_FAILED;
    } else {
        status = isatty(STDOUT_FILENO) ? run_terminal(&top) : run_plain(&top);
    }
    top_close(&top);
    return status;
}
