/* stack.c - a sidecar of the benchmark's own; see stack.h. */
#include "stack.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_NS       ((int64_t)20 * 1000000000)
#define POLL_NS        2000000
#define FILE_MAX_BYTES 65536u

/* ---- folders ---- */

static void join(char out[STACK_PATH_BYTES], const char *folder, const char *name)
{
    if (snprintf(out, STACK_PATH_BYTES, "%s/%s", folder, name) >= (int)STACK_PATH_BYTES)
        measure_die("the path %s/%s is too long", folder, name);
}

void stack_path(const struct stack *stack, const char *name, char out[STACK_PATH_BYTES])
{
    join(out, stack->folder, name);
}

static void point(const struct stack *stack, const char *variable, const char *name)
{
    char path[STACK_PATH_BYTES];

    stack_path(stack, name, path);
    setenv(variable, path, 1);
}

/* `ailive` lies where the benchmark does. */
static void find_program(struct stack *stack)
{
    char self[STACK_PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        measure_die("cannot tell where this program lies");
    *slash = '\0';
    join(stack->program, self, "ailive");
    if (access(stack->program, X_OK) != 0)
        measure_die("%s is missing: build the whole tree", stack->program);
}

static void make_folder(char out[STACK_PATH_BYTES], const char *below)
{
    join(out, below, "ailive-bench.XXXXXX");
    if (mkdtemp(out) == NULL)
        measure_die("cannot make a folder in %s: %s", below, strerror(errno));
}

void stack_open(struct stack *stack)
{
    const char *temporary = getenv("TMPDIR");

    memset(stack, 0, sizeof(*stack));
    find_program(stack);
    make_folder(stack->folder, temporary != NULL && *temporary ? temporary : "/tmp");
    make_folder(stack->runtime, "/dev/shm");
    setenv("AILIVE_RUNTIME_DIR", stack->runtime, 1);
    point(stack, "AILIVE_SPOOL_DIR", "spool");
    point(stack, "AILIVE_STATE_DIR", "state");
    unsetenv("AILIVE_IPC_URL");
    unsetenv("AILIVE_DISABLED");
    unsetenv("PEAK_TRADE_AI_EVENTS_JSONL");
    unsetenv("PEAK_TRADE_AI_RUN_ID");
    unsetenv("PEAK_TRADE_AI_COMPONENT");
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void stack_close(struct stack *stack)
{
    if (stack->sidecar > 0)
        stack_stop(stack);
    nftw(stack->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    nftw(stack->runtime, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the process ---- */

static void redirect(int fd, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0 || dup2(file, fd) < 0)
        _exit(126);
}

static void log_path(const struct stack *stack, char out[STACK_PATH_BYTES])
{
    stack_path(stack, "sidecar.log", out);
}

void stack_spawn(struct stack *stack, const char *const *arguments)
{
    const char *argv[32] = {stack->program, "sidecar", "--listen", "127.0.0.1:0"};
    char path[STACK_PATH_BYTES];
    size_t n = 4;

    while (arguments != NULL && *arguments != NULL && n < 31)
        argv[n++] = *arguments++;
    log_path(stack, path);
    unlink(path);
    stack->port = 0;
    stack->sidecar = fork();
    if (stack->sidecar < 0)
        measure_die("cannot fork: %s", strerror(errno));
    if (stack->sidecar == 0) {
        redirect(1, "/dev/null");
        redirect(2, path);
        execv(stack->program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
}

/* Reads a small file; "" when it is not there. */
static void slurp(const char *path, char out[FILE_MAX_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, FILE_MAX_BYTES - 1) : 0;

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
}

void stack_wait_port(struct stack *stack)
{
    static char text[FILE_MAX_BYTES];
    char path[STACK_PATH_BYTES];
    int64_t end_ns = measure_now_ns() + READY_NS;
    const char *at;

    log_path(stack, path);
    for (;;) {
        slurp(path, text);
        at = strstr(text, "listening on http://127.0.0.1:");
        if (at != NULL && strchr(at, '\n') != NULL)
            break;
        if (measure_now_ns() > end_ns || waitpid(stack->sidecar, NULL, WNOHANG) != 0)
            measure_die("the sidecar did not start:\n%s", text);
        measure_sleep_ns(200000);
    }
    stack->port = atoi(at + strlen("listening on http://127.0.0.1:"));
}

void stack_start(struct stack *stack, const char *const *arguments)
{
    int64_t end_ns = measure_now_ns() + READY_NS;
    struct stack_answer answer;
    bool ready = false;

    stack_spawn(stack, arguments);
    stack_wait_port(stack);
    while (!ready) {
        if (stack_get(stack, "/-/ready", "", &answer)) {
            ready = answer.status == 200;
            stack_answer_free(&answer);
        }
        if (!ready && measure_now_ns() > end_ns)
            measure_die("the sidecar is not ready");
        if (!ready)
            measure_sleep_ns(POLL_NS);
    }
}

void stack_stop(struct stack *stack)
{
    int64_t end_ns = measure_now_ns() + READY_NS;

    kill(stack->sidecar, SIGTERM);
    while (waitpid(stack->sidecar, NULL, WNOHANG) == 0) {
        if (measure_now_ns() > end_ns)
            kill(stack->sidecar, SIGKILL);
        measure_sleep_ns(POLL_NS);
    }
    stack->sidecar = 0;
}

int stack_run(const char *const *arguments, const char *out_path, uint64_t *peak_kib, int64_t *took_ns)
{
    int64_t from_ns = measure_now_ns();
    struct rusage usage;
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        measure_die("cannot fork: %s", strerror(errno));
    if (pid == 0) {
        redirect(1, out_path);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &usage) != pid)
        measure_die("cannot wait for %s: %s", arguments[0], strerror(errno));
    if (took_ns != NULL)
        *took_ns = measure_now_ns() - from_ns;
    if (peak_kib != NULL)
        *peak_kib = (uint64_t)usage.ru_maxrss;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- asking it ---- */

static int connected(const struct stack *stack)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)stack->port)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static char *read_to_end(int fd, size_t *len)
{
    size_t cap = 1u << 20, n = 0;
    char *bytes = malloc(cap);
    ssize_t got;

    while (bytes != NULL && (got = recv(fd, bytes + n, cap - n - 1, 0)) > 0) {
        n += (size_t)got;
        if (cap - n < 65536)
            bytes = realloc(bytes, cap *= 2);
    }
    if (bytes == NULL)
        measure_die("out of memory");
    bytes[n] = '\0';
    *len = n;
    return bytes;
}

bool stack_get(const struct stack *stack, const char *path, const char *more_headers,
               struct stack_answer *out)
{
    char request[1024];
    int64_t from_ns = measure_now_ns();
    int fd = connected(stack), n;
    char *whole, *body;
    size_t len = 0;

    if (fd < 0)
        return false;
    n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n%s\r\n",
                 path, more_headers);
    if (n >= (int)sizeof(request) || send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        measure_die("cannot send a request");
    whole = read_to_end(fd, &len);
    out->took_ns = measure_now_ns() - from_ns;
    close(fd);
    body = strstr(whole, "\r\n\r\n");
    if (body == NULL || sscanf(whole, "HTTP/1.1 %d", &out->status) != 1) {
        free(whole);
        return false;
    }
    out->body_bytes = len - (size_t)(body + 4 - whole);
    memmove(whole, body + 4, out->body_bytes + 1);
    out->body = whole;
    return true;
}

void stack_answer_free(struct stack_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

static double line_value(const char *line, const char *family, const char *part)
{
    size_t family_bytes = strlen(family);
    const char *space = strrchr(line, ' ');

    if (strncmp(line, family, family_bytes) != 0 || (line[family_bytes] != '{' && line[family_bytes] != ' '))
        return 0;
    if (space == NULL || (part != NULL && strstr(line, part) == NULL))
        return 0;
    return strtod(space, NULL);
}

double stack_total(const struct stack *stack, const char *family, const char *part)
{
    struct stack_answer answer;
    double sum = 0;
    char *rest, *line;

    if (!stack_get(stack, "/metrics", "", &answer))
        measure_die("the sidecar does not answer");
    rest = answer.body;
    while ((line = strsep(&rest, "\n")) != NULL)
        sum += line_value(line, family, part);
    stack_answer_free(&answer);
    return sum;
}

double stack_wait_total(const struct stack *stack, const char *family, const char *part, double wanted,
                        int64_t timeout_ns)
{
    int64_t end_ns = measure_now_ns() + timeout_ns;
    double sum;

    while ((sum = stack_total(stack, family, part)) < wanted && measure_now_ns() < end_ns)
        measure_sleep_ns(POLL_NS);
    return sum;
}

uint64_t stack_samples(const struct stack_answer *answer, const char *part)
{
    const char *at = answer->body;
    uint64_t n = 0;

    while ((at = strstr(at, part)) != NULL) {
        at += strlen(part);
        n++;
    }
    return n;
}

/* ---- what it costs ---- */

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void usage_of_task(pid_t pid, const char *task, struct stack_usage *out)
{
    static char text[FILE_MAX_BYTES];
    char path[STACK_PATH_BYTES];

    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, task);
    slurp(path, text);
    out->cpu_ns += strtoull(text, NULL, 10);
    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, task);
    slurp(path, text);
    out->switches += field(text, "\nvoluntary_ctxt_switches:");
    out->rss_kib = field(text, "\nVmRSS:");
    out->peak_kib = field(text, "\nVmHWM:");
    out->threads++;
}

void stack_usage(pid_t pid, struct stack_usage *out)
{
    char path[STACK_PATH_BYTES];
    struct dirent *entry;
    DIR *tasks;

    memset(out, 0, sizeof(*out));
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    if (tasks == NULL)
        measure_die("process %d is gone", (int)pid);
    while ((entry = readdir(tasks)) != NULL)
        if (entry->d_name[0] != '.')
            usage_of_task(pid, entry->d_name, out);
    closedir(tasks);
}
