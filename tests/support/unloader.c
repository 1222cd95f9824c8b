/* unloader.c - a host that loads libailive as a plugin does and unloads it with records in flight.
 *
 *     unloader LIBRARY N
 *
 * A second thread records N decisions and ends after the dlclose(): the shipper and that thread's destructor
 * run on in what was unloaded. Not linked with libailive. Ends with exit(), without ailive_close(). */
#include <ailive/ailive.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int (*open_instance)(const struct ailive_options *options, struct ailive **out);
static int (*record_one)(struct ailive *instance, int64_t utc_ns, int64_t latency_ns, uint64_t what,
                         uint64_t scope);
static struct ailive *telemetry;
static pthread_barrier_t barrier;

static void *record(void *context)
{
    long i, n = atol(context);

    for (i = 0; i < n; i++)
        if (record_one(telemetry, AILIVE_NOW, 1, ailive_what(AILIVE_KIND_DECISION, AILIVE_ACCEPT, 0, 0, 0),
                       AILIVE_SCOPE_DEFAULT_WORD) != AILIVE_OK)
            exit(1);
    pthread_barrier_wait(&barrier); /* recorded */
    pthread_barrier_wait(&barrier); /* unloaded */
    return NULL;
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);

    if (!found)
        exit(1);
    return found;
}

int main(int argc, char **argv)
{
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL, *found;
    pthread_t thread;

    if (!library)
        return 2;
    found = symbol(library, "ailive_open"); /* C has no other way from an object's to a function's pointer */
    memcpy(&open_instance, &found, sizeof(found));
    found = symbol(library, "ailive_record_slow");
    memcpy(&record_one, &found, sizeof(found));
    pthread_barrier_init(&barrier, NULL, 2);
    if (open_instance(NULL, &telemetry) != AILIVE_OK || pthread_create(&thread, NULL, record, argv[2]) != 0)
        return 1;
    pthread_barrier_wait(&barrier);
    dlclose(library);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    usleep(50000); /* the shipper wakes in what may be gone */
    exit(0);
}
