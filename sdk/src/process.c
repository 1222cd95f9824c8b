/* process.c - process-wide state and its behaviour over fork; see process.h.
 *
 * Place on the route: beside it. Owns the wiped page, the list of instances' descriptors and the slots. Any
 * thread; the child handler of fork() closes descriptors and does nothing else. Never allocates from the
 * heap: a child of a bare _Fork() may find the heap locked. */
#include "process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One line a gate, so that slow calls on two instances do not share one. */
struct process_gate {
    _Alignas(64) uint64_t inside;
};

/* In a forked child all of it is zero: the lock is free, the gates are empty, alive is 0. */
struct process_page {
    uint32_t alive;
    pthread_mutex_t lock; /* all zeroes is PTHREAD_MUTEX_INITIALIZER on Linux, checked in process_init() */
    struct process_gate gates[PROCESS_INSTANCES_MAX];
};

static struct process_page *page;
static struct process_fds *all_fds;
static uint64_t slots_taken;
static bool handler_set;

void *process_map(size_t len_bytes)
{
    void *pages = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    if (madvise(pages, len_bytes, MADV_WIPEONFORK) != 0) {
        int error = errno;
        munmap(pages, len_bytes);
        errno = error;
        return NULL;
    }
    return pages;
}

void process_unmap(void *pages, size_t len_bytes)
{
    if (pages)
        munmap(pages, len_bytes);
}

static void fds_abandon_all(void)
{
    for (struct process_fds *fds = __atomic_load_n(&all_fds, __ATOMIC_ACQUIRE); fds; fds = fds->next) {
        process_fd_close(&fds->lock);
        process_fd_close(&fds->socket);
        process_fd_close(&fds->spool);
        for (unsigned i = 0; i < PROCESS_RESCUE_FDS; i++)
            process_fd_close(&fds->rescue[i]);
    }
}

int process_init(void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    struct process_page *fresh, *none = NULL;
    int error = 0;

    if (!__atomic_load_n(&page, __ATOMIC_ACQUIRE)) {
        fresh = process_map(sizeof(*fresh));
        if (!fresh)
            return errno;
        fresh->lock = unlocked;
        fresh->alive = 1;
        /* Pairs with the acquire loads of page: who sees the page sees it filled. */
        if (!__atomic_compare_exchange_n(&page, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            process_unmap(fresh, sizeof(*fresh));
    }
    process_check();
    process_lock();
    if (!handler_set) {
        error = pthread_atfork(NULL, NULL, fds_abandon_all);
        handler_set = error == 0;
    }
    process_unlock();
    return error;
}

void process_check(void)
{
    struct process_page *here = __atomic_load_n(&page, __ATOMIC_ACQUIRE);

    /* Pairs with the release below: who sees alive set sees the inherited descriptors gone. */
    if (!here || __atomic_load_n(&here->alive, __ATOMIC_ACQUIRE) != 0)
        return;
    process_lock();
    if (here->alive == 0) {
        fds_abandon_all();
        __atomic_store_n(&here->alive, 1, __ATOMIC_RELEASE);
    }
    process_unlock();
}

void process_lock(void)
{
    int error = pthread_mutex_lock(&page->lock);

    assert(error == 0);
    (void)error;
}

void process_unlock(void)
{
    pthread_mutex_unlock(&page->lock);
}

/* The slots are one word, so that a fork in the middle of a change leaves a whole one. */
int process_slot_take(void)
{
    uint64_t taken = __atomic_load_n(&slots_taken, __ATOMIC_RELAXED);

    while (taken != UINT64_MAX) {
        int slot = __builtin_ctzll(~taken);
        /* Acquire pairs with the release in process_slot_return(): the last user's gate is at rest. */
        if (__atomic_compare_exchange_n(&slots_taken, &taken, taken | (uint64_t)1 << slot, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return slot;
    }
    return -1;
}

void process_slot_return(int slot)
{
    __atomic_fetch_and(&slots_taken, ~((uint64_t)1 << slot), __ATOMIC_RELEASE);
}

void process_enter(int slot)
{
    /* Sequentially consistent, as the store of the state in ailive_close() and the load in
     * process_wait_empty(): either the close sees us inside, or we see the instance closed. */
    __atomic_fetch_add(&page->gates[slot].inside, 1, __ATOMIC_SEQ_CST);
}

void process_leave(int slot)
{
    /* Release pairs with the load in process_wait_empty(): what we did inside happened before the unmapping.
     */
    __atomic_fetch_sub(&page->gates[slot].inside, 1, __ATOMIC_RELEASE);
}

void process_wait_empty(int slot)
{
    const struct timespec a_moment = {0, 50000};

    while (__atomic_load_n(&page->gates[slot].inside, __ATOMIC_SEQ_CST) != 0)
        nanosleep(&a_moment, NULL);
}

void process_fds_add(struct process_fds *fds)
{
    fds->lock.fd = fds->socket.fd = fds->spool.fd = -1;
    for (unsigned i = 0; i < PROCESS_RESCUE_FDS; i++)
        fds->rescue[i].fd = -1;
    fds->next = all_fds;
    /* Pairs with the load in a forked child: the list is whole at any instruction. */
    __atomic_store_n(&all_fds, fds, __ATOMIC_RELEASE);
}

int process_fd_set(struct process_fd *note, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        int error = errno;
        close(fd);
        return error;
    }
    note->device = st.st_dev;
    note->inode = st.st_ino;
    /* Last: a child forked at any instruction that sees the number knows what it stood for. */
    __atomic_store_n(&note->fd, fd, __ATOMIC_RELEASE);
    return 0;
}

bool process_fd_ours(const struct process_fd *note)
{
    struct stat st;

    return note->fd >= 0 && fstat(note->fd, &st) == 0 && st.st_dev == note->device &&
           st.st_ino == note->inode;
}

/* Async-signal-safe: runs in the child handler of fork(). */
void process_fd_close(struct process_fd *note)
{
    if (process_fd_ours(note))
        close(note->fd);
    note->fd = -1;
}

int process_hold(int fd, void **out)
{
    void *held = mmap(NULL, 1, PROT_NONE, MAP_SHARED, fd, 0);
    int error;

    if (held == MAP_FAILED)
        return errno;
    if (madvise(held, 1, MADV_DONTFORK) == 0) {
        *out = held;
        return 0;
    }
    error = errno;
    munmap(held, 1);
    return error;
}

void process_release(void *held)
{
    if (held)
        munmap(held, 1);
}

int process_allocate(int fd, size_t len_bytes)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* Allocated, not only sized: a hole in a full tmpfs is a SIGBUS at the store. */
    error = posix_fallocate(fd, 0, (off_t)len_bytes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
