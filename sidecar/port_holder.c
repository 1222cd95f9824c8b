/* port_holder.c - who listens on a TCP port.
 *
 * Place on the route: asked by http once, when bind fails. Owns nothing.
 */
#include "port_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN   0x0au
#define INODES_MAX   16u
#define PATH_BYTES   320u
#define TARGET_BYTES 64u

struct inodes {
    unsigned long items[INODES_MAX];
    size_t count;
};

/* A line of /proc/net/tcp: "sl local:PORT remote:PORT STATE tx:rx tr:when retr uid timeout inode ...". */
static void line_look(const char *line, uint16_t port, struct inodes *out)
{
    unsigned local_port, state;
    unsigned long inode;

    if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu",
               &local_port, &state, &inode) == 3 &&
        local_port == port && state == TCP_LISTEN && out->count < INODES_MAX)
        out->items[out->count++] = inode;
}

static void table_look(const char *path, uint16_t port, struct inodes *out)
{
    FILE *table = fopen(path, "re");
    char line[512];

    if (table == NULL)
        return;
    while (fgets(line, sizeof(line), table) != NULL)
        line_look(line, port, out);
    fclose(table);
}

static bool is_listener(const char *target, const struct inodes *inodes)
{
    unsigned long inode;

    if (sscanf(target, "socket:[%lu]", &inode) != 1)
        return false;
    for (size_t i = 0; i < inodes->count; i++)
        if (inodes->items[i] == inode)
            return true;
    return false;
}

static bool process_holds(const char *pid, const struct inodes *inodes)
{
    char path[PATH_BYTES], target[TARGET_BYTES];
    const struct dirent *entry;
    bool holds = false;
    DIR *fds;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    fds = opendir(path);
    while (fds != NULL && !holds && (entry = readdir(fds)) != NULL) {
        ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

        target[n > 0 ? n : 0] = '\0';
        holds = is_listener(target, inodes);
    }
    if (fds != NULL)
        closedir(fds);
    return holds;
}

static void process_describe(const char *pid, char *out, size_t cap)
{
    char path[PATH_BYTES], name[64] = "";
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (fd >= 0)
        close(fd);
    snprintf(out, cap, "pid %.20s (%s)", pid, name[0] != '\0' ? name : "?");
}

void port_holder(uint16_t port, char *out, size_t cap)
{
    struct inodes inodes = {0};
    const struct dirent *entry;
    DIR *processes;
    bool found = false;

    snprintf(out, cap, "another user's process");
    table_look("/proc/net/tcp", port, &inodes);
    table_look("/proc/net/tcp6", port, &inodes);
    processes = inodes.count > 0 ? opendir("/proc") : NULL;
    while (processes != NULL && !found && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        found = process_holds(entry->d_name, &inodes);
        if (found)
            process_describe(entry->d_name, out, cap);
    }
    if (processes != NULL)
        closedir(processes);
}
