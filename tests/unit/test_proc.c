/* test_proc.c - the process_ families say what the kernel says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"process_cpu_seconds_total",
                                    "process_open_fds",
                                    "process_max_fds",
                                    "process_virtual_memory_bytes",
                                    "process_virtual_memory_max_bytes",
                                    "process_resident_memory_bytes",
                                    "process_start_time_seconds",
                                    "process_network_receive_bytes_total",
                                    "process_network_transmit_bytes_total"};

static struct buffer page;

static int begin(void **state)
{
    struct expose expose;

    (void)state;
    buffer_init(&page);
    expose_begin(&expose, EXPOSE_TEXT, &page);
    assert_true(proc_expose(&expose) && expose_end(&expose) && buffer_add(&page, "", 1));
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_fini(&page);
    return 0;
}

static double value(const char *name)
{
    char line[128] = "\n";
    const char *at;

    strcat(strcat(line, name), " ");
    at = strstr(page.bytes, line);
    if (at == NULL)
        fail_msg("%s has no sample:\n%s", name, page.bytes);
    return at != NULL ? strtod(at + strlen(line), NULL) : -1;
}

static void all_nine_are_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(value(names[i]) >= 0);
}

static void they_follow_the_process(void **state)
{
    struct rlimit files;
    double before = value("process_open_fds");
    int fd = dup(STDOUT_FILENO);

    assert_true(fd >= 0);
    end(state);
    begin(state);
    assert_true(value("process_open_fds") == before + 1);
    close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_true(value("process_max_fds") == (double)files.rlim_cur);
    assert_true(value("process_start_time_seconds") <= (double)time(NULL) + 2);
    assert_true(value("process_start_time_seconds") > (double)time(NULL) - 86400);
    assert_true(value("process_resident_memory_bytes") > 100000);
    assert_true(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_nine_are_there, begin, end),
        cmocka_unit_test_setup_teardown(they_follow_the_process, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
