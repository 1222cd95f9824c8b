/* layout.c - what the C compiler makes of <ailive/ailive.h>, for ailive-sys to be compared with.
 *
 * Prints "struct size" and "struct.field offset" lines, and the two words of the recording call. */
#include <ailive/ailive.h>

#include <inttypes.h>
#include <stdio.h>

#define SIZE(type)         printf(#type " %zu\n", sizeof(struct type))
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(struct type, field))

static void options_fields(void)
{
    SIZE(ailive_options);
    FIELD(ailive_options, size);
    FIELD(ailive_options, component);
    FIELD(ailive_options, run_id);
    FIELD(ailive_options, ipc_url);
    FIELD(ailive_options, runtime_dir);
    FIELD(ailive_options, spool_dir);
    FIELD(ailive_options, ring_records);
    FIELD(ailive_options, spool_after_ms);
    FIELD(ailive_options, spool_file_bytes);
    FIELD(ailive_options, spool_max_bytes);
    FIELD(ailive_options, log);
    FIELD(ailive_options, log_context);
    FIELD(ailive_options, tls_cert);
    FIELD(ailive_options, tls_ca);
    FIELD(ailive_options, remote_plaintext);
    FIELD(ailive_options, memory_sink);
}

static void stats_fields(void)
{
    SIZE(ailive_stats);
    FIELD(ailive_stats, recorded);
    FIELD(ailive_stats, dropped_full);
    FIELD(ailive_stats, dropped_ring);
    FIELD(ailive_stats, ignored);
    FIELD(ailive_stats, shipped);
    FIELD(ailive_stats, spooled);
    FIELD(ailive_stats, dropped_spool);
    FIELD(ailive_stats, pending);
    FIELD(ailive_stats, spool_bytes);
    FIELD(ailive_stats, wakeups);
    FIELD(ailive_stats, rings);
    FIELD(ailive_stats, connected);
}

static void record_fields(void)
{
    SIZE(ailive_record);
    FIELD(ailive_record, kind);
    FIELD(ailive_record, decision);
    FIELD(ailive_record, action);
    FIELD(ailive_record, reason);
    FIELD(ailive_record, stage);
    FIELD(ailive_record, component);
    FIELD(ailive_record, run_id);
    FIELD(ailive_record, time_ns);
    FIELD(ailive_record, latency_ns);
}

int main(void)
{
    const struct ailive_scope scope = {11, 12};

    options_fields();
    stats_fields();
    record_fields();
    printf("what %" PRIu64 "\n", ailive_what(3, 2, 5, 0x1234, 0xfedc));
    printf("scope %" PRIu64 "\n", ailive_scope_word(scope));
    return 0;
}
