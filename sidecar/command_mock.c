/* command_mock.c - `ailive mock`: a stand-in for the two other services that the local Prometheus scrapes.
 *
 * Place on the route: beside it, on the ports of peak_trade_web and shadow_mvs where those do not run. The
 * same answer to every request: no clock, no counter. It says that it is a mock in its HELP, labels and page.
 * The main thread waits for a signal; http's threads answer.
 */
#include "command.h"
#include "http.h"
#include "log.h"

#include <signal.h>
#include <stdio.h>

#define ERROR_BYTES 1024u

static const char help[] =
    "Usage: ailive mock [--web ADDR:PORT] [--shadow ADDR:PORT]\n"
    "Serve a deterministic stand-in for peak_trade_web and shadow_mvs, labelled as a mock, so that\n"
    "the local Prometheus has all three targets.\n"
    "\n"
    "  --web ADDR:PORT     peak_trade_web alone, or with --shadow (default 127.0.0.1:8000)\n"
    "  --shadow ADDR:PORT  shadow_mvs alone, or with --web (default 127.0.0.1:9109)\n"
    "  --help, --version\n"
    "\n"
    "Ends with 0 at SIGTERM or SIGINT. Exit status: 0 fine, 1 failed (a port is busy), 2 wrong usage.\n";

static const struct option options[] = {{"web", required_argument, 0, 'w'},
                                        {"shadow", required_argument, 0, 's'},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

#define MOCK_HELP "MOCK, no real service: a stand-in by ailive mock, always 1."
#define MOCK_PAGE(service)                                                                                   \
    "<!DOCTYPE html><html lang=\"en\"><title>MOCK " service "</title><h1>MOCK of " service "</h1>"           \
    "<p>This is no real service but a stand-in by <code>ailive mock</code>. "                                \
    "<a href=\"/metrics\">/metrics</a></p></html>\n"

struct mock {
    const char *name, *listen, *labels, *page;
    struct http *http;
};

static uint64_t mock_generation(void *context)
{
    (void)context;
    return 0;
}

static bool mock_metrics(void *context, enum expose_format format, struct buffer *out)
{
    const struct mock *mock = context;
    struct expose expose;
    bool fine;

    expose_begin(&expose, format, out);
    fine = expose_head(&expose, "peaktrade_mock_service", FAMILY_GAUGE, MOCK_HELP) &&
           expose_value(&expose, "peaktrade_mock_service", mock->labels, 1);
    return expose_end(&expose) && fine;
}

static bool mock_ready(void *context, struct buffer *out)
{
    const struct mock *mock = context;

    return buffer_printf(out, "ready: MOCK of %s\n", mock->name);
}

static int mock_open(struct mock *mock)
{
    struct http_contents contents = {.context = mock,
                                     .generation = mock_generation,
                                     .metrics = mock_metrics,
                                     .ready = mock_ready,
                                     .page = mock->page};
    struct config_listen listen;
    char error[ERROR_BYTES];
    uint16_t port;
    int fd;

    if (!config_listen(mock->listen, &listen, error, sizeof(error)))
        return command_usage("mock", "%s", error);
    if (http_listen(&listen, &fd, &port, error, sizeof(error)) != 0 ||
        http_open(fd, &contents, NULL, &mock->http, error, sizeof(error)) != 0) {
        log_error("mock of %s: %s", mock->name, error);
        return COMMAND_FAILED;
    }
    log_info("MOCK of %s on http://%s:%u/metrics", mock->name, listen.address, port);
    return COMMAND_OK;
}

/* Until SIGTERM or SIGINT; each second, connections that are too old are closed. */
static void wait_for_end(const struct mock *mocks, size_t count, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    int got;

    do {
        got = sigtimedwait(signals, NULL, &second);
        for (size_t i = 0; i < count; i++)
            if (mocks[i].http != NULL)
                http_reap(mocks[i].http);
    } while (got < 0);
}

/* 0: go on. 1: end with *status. */
static int parse(int argc, char **argv, struct mock *web, struct mock *shadow, int *status)
{
    int option;

    *status = COMMAND_OK;
    while ((option = command_next_option(argc, argv, options, help, status)) >= 0)
        *(option == 'w' ? &web->listen : &shadow->listen) = optarg;
    if (option == -2)
        return 1;
    if (optind < argc) {
        *status = command_usage("mock", "'%.80s' is no option", argv[optind]);
        return 1;
    }
    if (web->listen == NULL && shadow->listen == NULL) {
        web->listen = "127.0.0.1:8000";
        shadow->listen = "127.0.0.1:9109";
    }
    return 0;
}

int command_mock(int argc, char **argv)
{
    struct mock mocks[2] = {
        {.name = "peak_trade_web",
         .labels = "service=\"peak_trade_web\"",
         .page = MOCK_PAGE("peak_trade_web")},
        {.name = "shadow_mvs", .labels = "service=\"shadow_mvs\"", .page = MOCK_PAGE("shadow_mvs")}};
    sigset_t signals;
    int status;

    if (parse(argc, argv, &mocks[0], &mocks[1], &status) != 0)
        return status;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before http's threads, which inherit it */
    for (size_t i = 0; i < 2 && status == COMMAND_OK; i++)
        if (mocks[i].listen != NULL)
            status = mock_open(&mocks[i]);
    if (status == COMMAND_OK)
        wait_for_end(mocks, 2, &signals);
    for (size_t i = 0; i < 2; i++)
        http_close(mocks[i].http);
    return status;
}
