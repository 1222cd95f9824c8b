/* test_paths.c - claims about sdk/wire/paths: which folder is chosen, and when none is. */
#include "wire/paths.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef bool (*folder_fn)(const char *, char *, size_t);

static int clear_environment(void **state)
{
    static const char *const names[] = {"AILIVE_RUNTIME_DIR",
                                        "AILIVE_SPOOL_DIR",
                                        "AILIVE_STATE_DIR",
                                        "AILIVE_IPC_URL",
                                        "XDG_RUNTIME_DIR",
                                        "XDG_STATE_HOME",
                                        "HOME",
                                        "PATHS_TEST"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return 0;
}

static void blank_variable_counts_as_unset(void **state)
{
    char out[32];

    (void)state;
    assert_true(paths_env("PATHS_TEST", "fallback", out, sizeof(out)));
    assert_string_equal(out, "fallback");
    setenv("PATHS_TEST", " \t\r\n", 1);
    assert_true(paths_env("PATHS_TEST", "fallback", out, sizeof(out)));
    assert_string_equal(out, "fallback");
    assert_true(paths_env("PATHS_TEST", NULL, out, sizeof(out)));
    assert_string_equal(out, "");
    setenv("PATHS_TEST", "  a value\n", 1);
    assert_true(paths_env("PATHS_TEST", "fallback", out, sizeof(out)));
    assert_string_equal(out, "a value");
}

static void value_longer_than_the_buffer_is_refused_not_cut(void **state)
{
    char out[8];

    (void)state;
    setenv("PATHS_TEST", "1234567", 1);
    assert_true(paths_env("PATHS_TEST", NULL, out, sizeof(out)));
    assert_string_equal(out, "1234567");
    setenv("PATHS_TEST", "12345678", 1);
    assert_false(paths_env("PATHS_TEST", NULL, out, sizeof(out)));
    assert_string_equal(out, "");
    setenv("XDG_RUNTIME_DIR", "/123456", 1);
    assert_false(paths_runtime("/1234567", out, sizeof(out)));
    assert_string_equal(out, "");
}

static void choice_goes_before_variable_before_default(void **state)
{
    const struct {
        folder_fn fn;
        const char *variable;
    } folders[] = {{paths_runtime, "AILIVE_RUNTIME_DIR"},
                   {paths_spool, "AILIVE_SPOOL_DIR"},
                   {paths_state, "AILIVE_STATE_DIR"}};
    char out[PATHS_MAX_BYTES];

    (void)state;
    setenv("HOME", "/house/x", 1);
    for (size_t i = 0; i < 3; i++) {
        setenv(folders[i].variable, " /from/variable ", 1);
        assert_true(folders[i].fn("/given", out, sizeof(out)));
        assert_string_equal(out, "/given");
        assert_true(folders[i].fn(NULL, out, sizeof(out)));
        assert_string_equal(out, "/from/variable");
        assert_true(folders[i].fn("", out, sizeof(out)));
        assert_string_equal(out, "/from/variable");
        setenv(folders[i].variable, " ", 1);
        assert_true(folders[i].fn(NULL, out, sizeof(out)));
        assert_string_not_equal(out, "/from/variable");
    }
}

static void a_relative_choice_is_of_the_working_folder_of_that_moment(void **state)
{
    char out[PATHS_MAX_BYTES], small[8], before[PATHS_MAX_BYTES];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir("/usr/lib"), 0);
    assert_true(paths_spool("a/b", out, sizeof(out)));
    assert_string_equal(out, "/usr/lib/a/b");
    setenv("AILIVE_RUNTIME_DIR", "run", 1);
    assert_true(paths_runtime(NULL, out, sizeof(out)));
    assert_string_equal(out, "/usr/lib/run");
    assert_false(paths_state("a", small, sizeof(small)));
    assert_int_equal(chdir("/"), 0);
    assert_true(paths_runtime(NULL, out, sizeof(out)));
    assert_string_equal(out, "/run");
    assert_int_equal(chdir(before), 0);
}

static void runtime_default_is_package_then_xdg_then_shm(void **state)
{
    char out[PATHS_MAX_BYTES], shm[64];

    (void)state;
    if (access("/run/ailive", W_OK | X_OK) == 0) { /* an installed package decides */
        assert_true(paths_runtime(NULL, out, sizeof(out)));
        assert_string_equal(out, "/run/ailive");
        return;
    }
    snprintf(shm, sizeof(shm), "/dev/shm/ailive-%lu", (unsigned long)geteuid());
    assert_true(paths_runtime(NULL, out, sizeof(out)));
    assert_string_equal(out, shm);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_true(paths_runtime(NULL, out, sizeof(out)));
    assert_string_equal(out, "/run/user/7/ailive");
}

static void check_lasting(folder_fn fn, const char *packaged, const char *below_xdg, const char *below_home)
{
    char out[PATHS_MAX_BYTES];

    clear_environment(NULL);
    if (access(packaged, W_OK | X_OK) == 0) {
        assert_true(fn(NULL, out, sizeof(out)));
        assert_string_equal(out, packaged);
        return;
    }
    assert_false(fn(NULL, out, sizeof(out))); /* no HOME: no rule is left */
    assert_string_equal(out, "");
    setenv("HOME", "/house/x", 1);
    assert_true(fn(NULL, out, sizeof(out)));
    assert_string_equal(out, below_home);
    setenv("XDG_STATE_HOME", "/xdg", 1);
    assert_true(fn(NULL, out, sizeof(out)));
    assert_string_equal(out, below_xdg);
}

static void spool_and_state_default_to_package_then_xdg_then_home(void **state)
{
    (void)state;
    check_lasting(paths_spool, "/var/spool/ailive", "/xdg/ailive/spool",
                  "/house/x/.local/state/ailive/spool");
    check_lasting(paths_state, "/var/lib/ailive", "/xdg/ailive/state", "/house/x/.local/state/ailive/state");
}

static void ipc_url_defaults_to_the_socket_in_the_runtime_folder(void **state)
{
    char out[PATHS_MAX_BYTES];

    (void)state;
    assert_true(paths_ipc_url(NULL, "/run/here", out, sizeof(out)));
    assert_string_equal(out, "ipc:///run/here/sidecar.sock");
    setenv("AILIVE_IPC_URL", "ipc:///other", 1);
    assert_true(paths_ipc_url(NULL, "/run/here", out, sizeof(out)));
    assert_string_equal(out, "ipc:///other");
    assert_true(paths_ipc_url("ipc:///mine", "/run/here", out, sizeof(out)));
    assert_string_equal(out, "ipc:///mine");
    unsetenv("AILIVE_IPC_URL");
    assert_false(paths_ipc_url(NULL, "/run/here", out, 10));
    assert_string_equal(out, "");
}

static void socket_path_is_taken_up_to_107_bytes(void **state)
{
    char url[256] = "ipc://", out[PATHS_SOCKET_BYTES];

    (void)state;
    assert_null(paths_socket("ipc:///run/a.sock", out));
    assert_string_equal(out, "/run/a.sock");
    memset(url + 6, '/', 107);
    assert_null(paths_socket(url, out));
    assert_int_equal(strlen(out), 107);
    url[6 + 107] = 'x';
    assert_non_null(strstr(paths_socket(url, out), "107"));
    assert_non_null(strstr(paths_socket("tcp://127.0.0.1:1", out), "ipc://"));
    assert_non_null(strstr(paths_socket("/run/a.sock", out), "ipc://"));
    assert_non_null(paths_socket("ipc://", out));
    assert_non_null(paths_socket("", out));
}

static void folders_are_made_for_their_owner_alone(void **state)
{
    char base[] = "/tmp/ailive-paths-XXXXXX", path[128], file[128];
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof(path), "%s/a//b/c/", base);
    assert_int_equal(paths_make(path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(paths_make(path), 0); /* again is fine */
    snprintf(file, sizeof(file), "%s/file", base);
    fclose(fopen(file, "w"));
    assert_int_equal(paths_make(file), ENOTDIR);
    snprintf(path, sizeof(path), "%s/file/below", base);
    assert_int_equal(paths_make(path), ENOTDIR);
    assert_int_equal(paths_make(""), ENOENT);

    remove(file);
    for (const char *const *at = (const char *const[]){"a/b/c", "a/b", "a", "", NULL}; *at; at++) {
        snprintf(path, sizeof(path), "%s/%s", base, *at);
        assert_int_equal(rmdir(path), 0);
    }
}

static void path_longer_than_the_limit_is_not_made(void **state)
{
    char path[PATHS_MAX_BYTES + 2];

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(paths_make(path), ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(blank_variable_counts_as_unset, clear_environment),
        cmocka_unit_test_setup(value_longer_than_the_buffer_is_refused_not_cut, clear_environment),
        cmocka_unit_test_setup(choice_goes_before_variable_before_default, clear_environment),
        cmocka_unit_test_setup(a_relative_choice_is_of_the_working_folder_of_that_moment, clear_environment),
        cmocka_unit_test_setup(runtime_default_is_package_then_xdg_then_shm, clear_environment),
        cmocka_unit_test_setup(spool_and_state_default_to_package_then_xdg_then_home, clear_environment),
        cmocka_unit_test_setup(ipc_url_defaults_to_the_socket_in_the_runtime_folder, clear_environment),
        cmocka_unit_test_setup(socket_path_is_taken_up_to_107_bytes, clear_environment),
        cmocka_unit_test(folders_are_made_for_their_owner_alone),
        cmocka_unit_test(path_longer_than_the_limit_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
