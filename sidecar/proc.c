/* proc.c - see proc.h. Files are read whole into a buffer on the stack; the kernel makes each at once. */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILE_BYTES 16384

/* false: not there, or cut. */
static bool read_file(const char *path, char text[FILE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n = -1;

    if (fd < 0)
        return false;
    while (used < FILE_BYTES - 1 && (n = read(fd, text + used, FILE_BYTES - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    text[used] = '\0';
    return n == 0;
}

/* Fields of /proc/self/stat, numbered as in proc(5). */
enum {
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_STARTTIME = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_FIELDS
};

/* NaN: cannot be read. */
struct usage {
    double cpu_s, start_s, virtual_bytes, resident_bytes;
};

/* Seconds since 1970 when the machine was started. */
static double boot_time_s(void)
{
    char text[FILE_BYTES];
    const char *line;

    /* A cut file is fine: it is long on many cores, and the line may be before its end. */
    if (!read_file("/proc/stat", text) && text[0] == '\0')
        return NAN;
    line = strstr(text, "\nbtime ");
    return line != NULL ? (double)strtoull(line + 7, NULL, 10) : NAN;
}

static void usage_read(struct usage *usage)
{
    double fields[STAT_FIELDS] = {0}, tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
    char text[FILE_BYTES];
    char *at;

    *usage = (struct usage){NAN, NAN, NAN, NAN};
    if (!read_file("/proc/self/stat", text) || (at = strrchr(text, ')')) == NULL || strlen(at) < 4)
        return;
    at += 3; /* behind the name, which may hold anything, and the state: field 4 comes next */
    for (unsigned i = 4; i < STAT_FIELDS; i++)
        fields[i] = strtod(at, &at);
    usage->cpu_s = (fields[STAT_UTIME] + fields[STAT_STIME]) * tick_s;
    usage->start_s = boot_time_s() + fields[STAT_STARTTIME] * tick_s;
    usage->virtual_bytes = fields[STAT_VSIZE];
    usage->resident_bytes = fields[STAT_RSS] * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = 0;

    if (folder == NULL)
        return NAN;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* the one that is read from */
}

static double limit(enum __rlimit_resource what)
{
    struct rlimit limit;

    if (getrlimit(what, &limit) != 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? (double)UINT64_MAX : (double)limit.rlim_cur;
}

/* The value under a column of the IpExt table: a line of names, then a line of values. */
static double ip_octets(const char *text, const char *column)
{
    const char *names = strstr(text, "IpExt: "), *values;
    double value = NAN;
    size_t len = strlen(column);

    values = names != NULL ? strstr(names + 7, "\nIpExt: ") : NULL;
    if (values == NULL)
        return NAN;
    names += 7;
    values += 8;
    while (*names != '\n' && *values != '\0') {
        char *end;

        value = strtod(values, &end);
        if (strncmp(names, column, len) == 0 && (names[len] == ' ' || names[len] == '\n'))
            return value;
        names += strcspn(names, " \n");
        names += *names == ' ';
        values = end;
    }
    return NAN;
}

static bool one(struct expose *out, const char *name, enum family_type type, const char *help, double value)
{
    return isnan(value) || (expose_head(out, name, type, help) && expose_value(out, name, "", value));
}

static bool expose_usage(struct expose *out)
{
    struct usage usage;

    usage_read(&usage);
    return one(out, "process_cpu_seconds_total", FAMILY_COUNTER, "Processor time used, user and system.",
               usage.cpu_s) &&
           one(out, "process_start_time_seconds", FAMILY_GAUGE, "Unix time of the start.", usage.start_s) &&
           one(out, "process_resident_memory_bytes", FAMILY_GAUGE, "Memory that is resident.",
               usage.resident_bytes) &&
           one(out, "process_virtual_memory_bytes", FAMILY_GAUGE, "Address space in use.",
               usage.virtual_bytes) &&
           one(out, "process_virtual_memory_max_bytes", FAMILY_GAUGE, "Limit of the address space.",
               limit(RLIMIT_AS));
}

bool proc_expose(struct expose *out)
{
    char netstat[FILE_BYTES];

    if (!read_file("/proc/self/net/netstat", netstat))
        netstat[0] = '\0';
    return expose_usage(out) &&
           one(out, "process_open_fds", FAMILY_GAUGE, "Open file descriptors.", open_fds()) &&
           one(out, "process_max_fds", FAMILY_GAUGE, "Limit of open file descriptors.",
               limit(RLIMIT_NOFILE)) &&
           one(out, "process_network_receive_bytes_total", FAMILY_COUNTER,
               "Bytes received in this network namespace.", ip_octets(netstat, "InOctets")) &&
           one(out, "process_network_transmit_bytes_total", FAMILY_COUNTER,
               "Bytes sent in this network namespace.", ip_octets(netstat, "OutOctets"));
}
