/* test_header_c.c - <ailive/ailive.h> alone, as strict C11: compiles, records, and keeps its frozen layout.
 *
 * Nothing but the public header is included before main's own needs: a missing include in it fails here. */
#include <ailive/ailive.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Frozen within a soversion: inlined into hosts. */
static_assert(sizeof(struct ailive_writer) == 64, "writer");
static_assert(offsetof(struct ailive_writer, owner) == 0, "owner");
static_assert(offsetof(struct ailive_writer, slots) == 8, "slots");
static_assert(offsetof(struct ailive_writer, mask) == 16, "mask");
static_assert(offsetof(struct ailive_writer, head) == 24, "head");
static_assert(offsetof(struct ailive_writer, limit) == 32, "limit");
static_assert(offsetof(struct ailive_writer, shared_head) == 40, "shared_head");
static_assert(offsetof(struct ailive_writer, clock) == 48, "clock");
static_assert(sizeof(ailive_name) == 2, "name");
static_assert(sizeof(struct ailive_scope) == 4, "scope");
/* Grow only at the end. */
static_assert(offsetof(struct ailive_options, size) == 0, "size");
static_assert(offsetof(struct ailive_options, ring_records) == 48, "ring_records");
static_assert(offsetof(struct ailive_options, spool_file_bytes) == 56, "spool_file_bytes");
static_assert(offsetof(struct ailive_options, memory_sink) == 88, "memory_sink");
static_assert(offsetof(struct ailive_options, tls_cert) == 96, "tls_cert");
static_assert(offsetof(struct ailive_options, remote_plaintext) == 112, "remote_plaintext");
static_assert(offsetof(struct ailive_stats, connected) == 84, "connected");
static_assert(offsetof(struct ailive_record, latency_ns) == 56, "latency_ns");

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                    \
            return 1;                                                                                        \
        }                                                                                                    \
    } while (0)

int main(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *instance;
    struct ailive_record record;

    options.memory_sink = 1;
    EXPECT(ailive_open(&options, &instance) == AILIVE_OK);
    EXPECT(ailive_record_decision(instance, AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_ACTION_NONE, 7) ==
           AILIVE_OK);
    EXPECT(ailive_memory_read(instance, &record) == 1);
    EXPECT(record.kind == AILIVE_KIND_DECISION && record.decision == AILIVE_REJECT && record.latency_ns == 7);
    EXPECT(strcmp(record.reason, "risk_limit") == 0);
    EXPECT(ailive_close(instance, 0) == AILIVE_OK);
    EXPECT(strcmp(ailive_version(), AILIVE_VERSION_STRING) == 0);
    EXPECT(ailive_abi() == AILIVE_ABI);
    return 0;
}
