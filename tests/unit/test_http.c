/* test_http.c - GET and HEAD, the right statuses, a busy port that names its holder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth.h"
#include "http.h"

#include <arpa/inet.h>
#include <crypt.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 60000

static struct http *http;
static struct config_listen where;
static char error[512], answer[65536];
static _Atomic bool ready;
static uint16_t port;

static _Atomic bool starting;
static _Atomic uint64_t commits, renderings;
static char *filling; /* pages of this text, or NULL: a small one */

static uint64_t generation(void *context)
{
    (void)context;
    return commits;
}

static bool metrics(void *context, enum expose_format format, struct buffer *out)
{
    (void)context;
    renderings++;
    if (starting)
        return false;
    if (filling != NULL)
        return buffer_add_text(out, filling);
    return buffer_add_text(out, format == EXPOSE_OPENMETRICS ? "# EOF\n" : "# TYPE a counter\na 1.0\n");
}

static bool is_ready(void *context, struct buffer *out)
{
    (void)context;
    buffer_add_text(out, ready ? "ready\n" : "not committing: the disk is full\n");
    return ready;
}

static uint64_t status_generation(void *context)
{
    (void)context;
    return commits;
}

static bool status(void *context, bool brief, struct buffer *out)
{
    (void)context;
    renderings++;
    return ready && buffer_add_text(out, brief ? "{\"brief\":1}\n" : "{\"whole\":1}\n");
}

/* "hello\n", packed by gzip -9n. */
static const unsigned char hello[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
                                      0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00,
                                      0x20, 0x30, 0x3a, 0x36, 0x06, 0x00, 0x00, 0x00};
static const struct http_file files[] = {{"/hello", "text/plain", hello, sizeof(hello), 6},
                                         {"/broken", "text/plain", hello, sizeof(hello), 5},
                                         {NULL, NULL, NULL, 0, 0}};

/* Hashes are counted, and wait while the gate is shut. */
char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
static _Atomic bool gate_shut;
static sem_t at_gate, gate;
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    if (gate_shut) {
        sem_post(&at_gate);
        sem_wait(&gate);
    }
    return __real_crypt_r(phrase, setting, data);
}

static int open_with(const struct web_config *web)
{
    const struct http_contents contents = {.generation = generation,
                                           .metrics = metrics,
                                           .ready = is_ready,
                                           .status_generation = status_generation,
                                           .status = status,
                                           .files = files};
    int fd;

    ready = true;
    where = (struct config_listen){.address = "127.0.0.1", .port = 0};
    if (http_listen(&where, &fd, &port, error, sizeof(error)) != 0 ||
        http_open(fd, &contents, web, &http, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return 0;
}

static int begin(void **context)
{
    (void)context;
    return open_with(NULL);
}

/* alice, "open sesame" */
static int begin_with_user(void **context)
{
    static char name[] = "alice", hash[64];
    static struct web_user user = {name, hash};
    static const struct web_config web = {.users = &user, .user_count = 1};
    struct crypt_data data = {0};

    (void)context;
    snprintf(hash, sizeof(hash), "%s", __real_crypt_r("open sesame", "$2b$04$abcdefghijklmnopqrstuu", &data));
    gate_shut = false;
    sem_init(&at_gate, 0, 0);
    sem_init(&gate, 0, 0);
    return open_with(&web);
}

static int end(void **context)
{
    (void)context;
    http_close(http);
    return 0;
}

static int dialled(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int sent(const char *request)
{
    int fd = dialled();

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* The whole answer, read until the server closes. */
static const char *received(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    size_t used = 0;
    ssize_t n;

    do {
        assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
        n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
        used += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    answer[used] = '\0';
    close(fd);
    return answer;
}

static const char *asked(const char *request)
{
    return received(sent(request));
}

#define REQUEST(method, path) method " " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void has_status(const char *text, const char *status)
{
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 || strncmp(text + 9, status, strlen(status)) != 0)
        fail_msg("%s is expected: %s", status, text);
}

static void metrics_come_as_text_of_the_right_type(void **context)
{
    (void)context;
    has_status(asked(REQUEST("GET", "/metrics")), "200");
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    assert_non_null(strstr(answer, "\r\n\r\n# TYPE a counter\na 1.0\n"));
    has_status(asked(REQUEST("GET", "/metrics?name=a")), "200");
}

static void head_gives_the_same_head_and_no_body(void **context)
{
    const char *body;

    (void)context;
    has_status(asked(REQUEST("HEAD", "/metrics")), "200");
    assert_non_null(strstr(answer, "Content-Length: 23"));
    body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_string_equal(body, "\r\n\r\n");
}

static void other_methods_are_refused_with_allow(void **context)
{
    (void)context;
    has_status(asked(REQUEST("POST", "/metrics")), "405");
    assert_non_null(strstr(answer, "Allow: GET, HEAD"));
    has_status(asked(REQUEST("DELETE", "/")), "405");
    has_status(
        asked("PUT /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"),
        "405");
}

static void health_and_readiness_are_told_apart(void **context)
{
    (void)context;
    has_status(asked(REQUEST("GET", "/-/healthy")), "200");
    has_status(asked(REQUEST("GET", "/-/ready")), "200");
    ready = false;
    has_status(asked(REQUEST("GET", "/-/ready")), "503");
    assert_non_null(strstr(answer, "the disk is full"));
    has_status(asked(REQUEST("GET", "/-/healthy")), "200");
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

static void the_index_names_the_pages_and_the_rest_is_not_found(void **context)
{
    (void)context;
    has_status(asked(REQUEST("GET", "/")), "200");
    assert_non_null(strstr(answer, "/metrics"));
    has_status(asked(REQUEST("GET", "/metrics/")), "404");
    has_status(asked(REQUEST("GET", "/../etc/passwd")), "404");
}

static void nonsense_gets_an_error_and_the_next_one_an_answer(void **context)
{
    (void)context;
    asked("\x16\x03\x01 nonsense\r\n\r\n");
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

static void silent_clients_do_not_keep_others_from_answers(void **context)
{
    int fds[40];

    (void)context;
    for (unsigned i = 0; i < 40; i++)
        fds[i] = dialled();
    has_status(asked(REQUEST("GET", "/metrics")), "200");
    http_reap(http);
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
}

/* alice:open sesame, alice:guess */
#define KNOWN           "Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=\r\n"
#define GUESS           "Authorization: Basic YWxpY2U6Z3Vlc3M=\r\n"
#define REQUEST_OF(who) "GET /metrics HTTP/1.1\r\nHost: x\r\n" who "Connection: close\r\n\r\n"

static void a_known_scraper_is_served_while_a_guess_is_hashed(void **context)
{
    int guess;

    (void)context;
    has_status(asked(REQUEST_OF(KNOWN)), "200");
    gate_shut = true;
    guess = sent(REQUEST_OF(GUESS));
    sem_wait(&at_gate);
    for (unsigned i = 0; i < 3; i++) {
        has_status(asked(REQUEST_OF(KNOWN)), "200");
        has_status(asked(REQUEST_OF("")), "401");
    }
    sem_post(&gate);
    has_status(received(guess), "401");
    gate_shut = false;
    has_status(asked(REQUEST_OF(GUESS)), "401");
}

static void guesses_beyond_those_that_may_wait_are_turned_away(void **context)
{
    struct pollfd guesses[AUTH_WAITING_MAX + 1];
    char request[256];
    unsigned turned_away = 0;

    (void)context;
    gate_shut = true;
    for (unsigned i = 0; i <= AUTH_WAITING_MAX; i++) { /* another password each, in base64 */
        snprintf(request, sizeof(request), REQUEST_OF("Authorization: Basic YTph%c%cFh\r\n"),
                 'A' + (int)i % 26, 'A' + (int)i / 26);
        guesses[i] = (struct pollfd){.fd = sent(request), .events = POLLIN};
    }
    sem_wait(&at_gate);
    /* The one that came last, whichever that was, has its answer while the others wait. */
    assert_true(poll(guesses, AUTH_WAITING_MAX + 1, WAIT_MS) > 0);
    gate_shut = false;
    sem_post(&gate);
    for (unsigned i = 0; i <= AUTH_WAITING_MAX; i++) {
        bool away = strncmp(received(guesses[i].fd), "HTTP/1.1 503", 12) == 0;

        turned_away += away;
        if (!away)
            has_status(answer, "401");
    }
    assert_int_equal(turned_away, 1);
    has_status(asked(REQUEST_OF(KNOWN)), "200");
}

static void *closes(void *context)
{
    http_close(context);
    return NULL;
}

static void closing_waits_for_no_guess_but_the_one_being_hashed(void **context)
{
    pthread_t closer;
    int first, second;

    (void)context;
    gate_shut = true;
    first = sent(REQUEST_OF(GUESS));
    sem_wait(&at_gate);
    second = sent(REQUEST_OF(GUESS));
    assert_int_equal(pthread_create(&closer, NULL, closes, http), 0);
    sem_post(&gate);
    pthread_join(closer, NULL);
    http = NULL;
    close(first);
    close(second);
}

static void *reloads(void *context)
{
    assert_int_equal(http_reload(http, context), 0);
    return NULL;
}

static void a_reload_changes_who_may_ask_and_refuses_no_connection(void **context)
{
    pthread_t reloader;
    int idle, guess, between;

    (void)context;
    idle = dialled();
    has_status(asked(REQUEST("GET", "/metrics")), "401");
    gate_shut = true;
    guess = sent(REQUEST_OF(GUESS));
    sem_wait(&at_gate);
    assert_int_equal(pthread_create(&reloader, NULL, reloads, NULL), 0);
    between = sent(REQUEST("GET", "/metrics"));
    sem_post(&gate);
    pthread_join(reloader, NULL);
    received(guess);
    assert_string_equal(received(idle), "");
    received(between); /* of the configuration before or of the new one: an answer */
    assert_true(strncmp(answer, "HTTP/1.1 401", 12) == 0 || strncmp(answer, "HTTP/1.1 200", 12) == 0);
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

static void a_target_may_name_the_host(void **context)
{
    (void)context;
    has_status(asked(REQUEST("GET", "http://x/metrics")), "200");
    assert_non_null(strstr(answer, "a 1.0"));
    has_status(asked(REQUEST("GET", "http://x:80")), "200"); /* the index */
    has_status(asked(REQUEST("GET", "http://x/nothing")), "404");
}

static void while_there_are_no_metrics_it_says_so_and_is_healthy(void **context)
{
    (void)context;
    starting = true;
    has_status(asked(REQUEST("GET", "/metrics")), "503");
    has_status(asked(REQUEST("GET", "/-/healthy")), "200");
    starting = false;
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

static void the_form_is_what_accept_prefers(void **context)
{
    (void)context;
    asked("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
          "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n");
    has_status(answer, "200");
    assert_non_null(
        strstr(answer, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_non_null(strstr(answer, "\r\n\r\n# EOF\n"));
}

static void gzip_is_said_and_begins_as_gzip_does(void **context)
{
    const char *body;

    (void)context;
    asked("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n");
    has_status(answer, "200");
    assert_non_null(strstr(answer, "Content-Encoding: gzip"));
    body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(body + 4, "\x1f\x8b", 2);
}

static void a_commit_makes_the_page_new(void **context)
{
    (void)context;
    renderings = 0;
    asked(REQUEST("GET", "/metrics"));
    assert_int_equal(renderings, 1);
    commits++;
    asked(REQUEST("GET", "/metrics"));
    assert_int_equal(renderings, 2);
}

/* More clients than there may be, all silent: the next one is answered at once, without a timer's help. */
static void idle_connections_at_the_limit_give_way(void **context)
{
    int fds[HTTP_CONNECTIONS_MAX + 72];
    const unsigned count = sizeof(fds) / sizeof(fds[0]);

    (void)context;
    for (unsigned i = 0; i < count; i++)
        fds[i] = dialled();
    has_status(asked(REQUEST("GET", "/metrics")), "200");
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Readers that take nothing, while every commit makes another page: neither do they keep a fast reader from
 * its answers, nor more than HTTP_BODIES_MAX pages in memory. */
static void slow_readers_hold_few_pages_and_keep_nobody_waiting(void **context)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    const size_t bytes = 8u << 20;
    int fds[40];

    (void)context;
    filling = malloc(bytes);
    assert_non_null(filling);
    memset(filling, 'x', bytes - 1);
    filling[bytes - 1] = '\0';
    renderings = 0;
    for (unsigned i = 0; i < 40; i++) {
        fds[i] = dialled();
        commits++;
        assert_int_equal(send(fds[i], request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
        has_status(asked(REQUEST("GET", "/-/healthy")), "200");
        assert_true(http_bodies(http) <= HTTP_BODIES_MAX);
    }
    assert_true(renderings > HTTP_BODIES_MAX); /* the slowest went, so that there were new pages */
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
    free(filling);
    filling = NULL;
}

static void a_busy_port_names_itself_and_its_holder(void **context)
{
    struct config_listen again = {.address = "127.0.0.1", .port = port};
    char expected[64];
    uint16_t other;
    int fd;

    (void)context;
    assert_int_equal(http_listen(&again, &fd, &other, error, sizeof(error)), -1);
    assert_int_equal(fd, -1);
    snprintf(expected, sizeof(expected), "port %u", port);
    assert_non_null(strstr(error, expected));
    snprintf(expected, sizeof(expected), "pid %ld (", (long)getpid());
    assert_non_null(strstr(error, expected));
}

static void an_address_that_is_not_ours_is_a_clear_error(void **context)
{
    struct config_listen foreign = {.address = "203.0.113.1", .port = 9110};
    uint16_t other;
    int fd;

    (void)context;
    assert_int_equal(http_listen(&foreign, &fd, &other, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "203.0.113.1"));
}

static void a_port_of_connections_just_closed_can_be_taken_again(void **context)
{
    const struct http_contents contents = {.generation = generation, .metrics = metrics, .ready = is_ready};
    struct config_listen again = {.address = "127.0.0.1", .port = port};
    uint16_t same;
    int fd;

    (void)context;
    has_status(asked(REQUEST("GET", "/metrics")), "200"); /* leaves a TIME_WAIT on our side */
    http_close(http);
    http = NULL;
    assert_int_equal(http_listen(&again, &fd, &same, error, sizeof(error)), 0);
    assert_int_equal(same, port);
    assert_int_equal(http_open(fd, &contents, NULL, &http, error, sizeof(error)), 0);
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

static void the_status_is_rendered_once_a_generation(void **context)
{
    uint64_t before = renderings;

    (void)context;
    for (unsigned i = 0; i < 3; i++) {
        has_status(asked(REQUEST("GET", "/api/v1/status")), "200");
        assert_non_null(strstr(answer, "\r\nContent-Type: application/json; charset=utf-8\r\n"));
        assert_non_null(strstr(answer, "{\"whole\":1}"));
    }
    assert_int_equal(renderings - before, 1);
    assert_non_null(strstr(asked(REQUEST("GET", "/api/v1/status?history=brief")), "{\"brief\":1}"));
    assert_non_null(strstr(asked(REQUEST("GET", "/api/v1/status?history=no")), "{\"whole\":1}"));
    assert_int_equal(renderings - before, 2);
    commits++;
    has_status(asked(REQUEST("GET", "/api/v1/status")), "200");
    assert_int_equal(renderings - before, 3);
    commits++;
    ready = false;
    has_status(asked(REQUEST("GET", "/api/v1/status")), "503");
}

static void a_packed_file_is_unpacked_for_those_who_cannot(void **context)
{
    (void)context;
    has_status(asked(REQUEST("GET", "/hello")), "200");
    assert_non_null(strstr(answer, "\r\n\r\nhello\n"));
    assert_non_null(strstr(answer, "\r\nContent-Security-Policy: default-src 'none'; "));
    has_status(asked("GET /hello HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"),
               "200");
    assert_non_null(strstr(answer, "\r\nContent-Encoding: gzip\r\n"));
    assert_null(strstr(answer, "hello\n"));
    asked(REQUEST("GET", "/broken"));
    assert_null(strstr(answer, "hell")); /* closed, not half of it */
    has_status(asked(REQUEST("GET", "/hello/")), "404");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#define TEST_WITH_USER(name) cmocka_unit_test_setup_teardown(name, begin_with_user, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_come_as_text_of_the_right_type),
        TEST(head_gives_the_same_head_and_no_body),
        TEST(other_methods_are_refused_with_allow),
        TEST(health_and_readiness_are_told_apart),
        TEST(the_index_names_the_pages_and_the_rest_is_not_found),
        TEST(nonsense_gets_an_error_and_the_next_one_an_answer),
        TEST(silent_clients_do_not_keep_others_from_answers),
        TEST_WITH_USER(a_known_scraper_is_served_while_a_guess_is_hashed),
        TEST_WITH_USER(guesses_beyond_those_that_may_wait_are_turned_away),
        TEST_WITH_USER(closing_waits_for_no_guess_but_the_one_being_hashed),
        TEST_WITH_USER(a_reload_changes_who_may_ask_and_refuses_no_connection),
        TEST(a_target_may_name_the_host),
        TEST(while_there_are_no_metrics_it_says_so_and_is_healthy),
        TEST(the_form_is_what_accept_prefers),
        TEST(gzip_is_said_and_begins_as_gzip_does),
        TEST(a_commit_makes_the_page_new),
        TEST(the_status_is_rendered_once_a_generation),
        TEST(a_packed_file_is_unpacked_for_those_who_cannot),
        TEST(idle_connections_at_the_limit_give_way),
        TEST(slow_readers_hold_few_pages_and_keep_nobody_waiting),
        TEST(a_busy_port_names_itself_and_its_holder),
        TEST(an_address_that_is_not_ours_is_a_clear_error),
        TEST(a_port_of_connections_just_closed_can_be_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
