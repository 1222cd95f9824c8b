/* test_activation.c - what a service manager passes is taken when it is ours and is what it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char error[256];

static void variables(long pid, const char *count)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld", pid);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", count, 1);
    error[0] = '\0';
}

/* Descriptor 3 becomes a TCP socket, listening or not; what it was goes aside. Returns where to. */
static int replace_three(bool listening)
{
    int aside = fcntl(3, F_DUPFD_CLOEXEC, 10), fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        close(fd);
    }
    return aside;
}

static void restore_three(int aside)
{
    if (aside >= 0) {
        dup2(aside, 3);
        close(aside);
    } else {
        close(3);
    }
}

static void without_variables_nothing_is_taken(void **state)
{
    int fd = 7;

    (void)state;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    assert_int_equal(activation_socket(&fd, error, sizeof(error)), 0);
    assert_int_equal(fd, -1);
}

static void sockets_of_another_process_are_left_alone(void **state)
{
    int fd = 7;

    (void)state;
    variables((long)getpid() + 1, "1");
    assert_int_equal(activation_socket(&fd, error, sizeof(error)), 0);
    assert_int_equal(fd, -1);
    assert_null(getenv("LISTEN_FDS"));
}

static void a_listening_socket_is_taken_and_not_passed_on(void **state)
{
    int fd, aside = replace_three(true);

    (void)state;
    variables(getpid(), "1");
    assert_int_equal(activation_socket(&fd, error, sizeof(error)), 0);
    assert_int_equal(fd, 3);
    assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
    assert_null(getenv("LISTEN_PID"));
    restore_three(aside);
}

static void anything_else_is_an_error(void **state)
{
    int fd, aside = replace_three(false);

    (void)state;
    variables(getpid(), "1");
    assert_int_equal(activation_socket(&fd, error, sizeof(error)), -1);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(error, "one listening TCP socket"));
    restore_three(aside);

    aside = replace_three(true);
    variables(getpid(), "2");
    assert_int_equal(activation_socket(&fd, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "2 sockets"));
    restore_three(aside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_variables_nothing_is_taken),
        cmocka_unit_test(sockets_of_another_process_are_left_alone),
        cmocka_unit_test(a_listening_socket_is_taken_and_not_passed_on),
        cmocka_unit_test(anything_else_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
