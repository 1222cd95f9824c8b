/* test_http.c - GET and HEAD, the right statuses, a busy port that names its holder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 5000

static struct http *http;
static struct config_listen where;
static char error[512], answer[65536];
static _Atomic bool ready;
static uint16_t port;

static bool metrics(void *context, struct buffer *out)
{
    (void)context;
    return buffer_add_text(out, "# TYPE a counter\na 1.0\n");
}

static bool is_ready(void *context, struct buffer *out)
{
    (void)context;
    buffer_add_text(out, ready ? "ready\n" : "not committing: the disk is full\n");
    return ready;
}

static int begin(void **context)
{
    const struct http_contents contents = {NULL, metrics, is_ready};
    int fd;

    (void)context;
    ready = true;
    where = (struct config_listen){.address = "127.0.0.1", .port = 0};
    if (http_listen(&where, &fd, &port, error, sizeof(error)) != 0 ||
        http_open(fd, &contents, &http, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return 0;
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

/* Sends a request and gives the whole answer, read until the server closes. */
static const char *asked(const char *request)
{
    int fd = dialled();
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    size_t used = 0;
    ssize_t n;

    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    do {
        assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
        n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
        used += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    answer[used] = '\0';
    close(fd);
    return answer;
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
    const struct http_contents contents = {NULL, metrics, is_ready};
    struct config_listen again = {.address = "127.0.0.1", .port = port};
    uint16_t same;
    int fd;

    (void)context;
    has_status(asked(REQUEST("GET", "/metrics")), "200"); /* leaves a TIME_WAIT on our side */
    http_close(http);
    http = NULL;
    assert_int_equal(http_listen(&again, &fd, &same, error, sizeof(error)), 0);
    assert_int_equal(same, port);
    assert_int_equal(http_open(fd, &contents, &http, error, sizeof(error)), 0);
    has_status(asked(REQUEST("GET", "/metrics")), "200");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

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
        TEST(a_busy_port_names_itself_and_its_holder),
        TEST(an_address_that_is_not_ours_is_a_clear_error),
        TEST(a_port_of_connections_just_closed_can_be_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
