/* observation.c - see observation.h. */
#include "observation.h"

#include <assert.h>

const char *source_name(enum source source)
{
    static const char *const names[SOURCES] = {
        [SOURCE_SAMPLE_V1] = "sample_v1",
        [SOURCE_BETA_EXEC_V1] = "beta_exec_v1",
        [SOURCE_EXEC_EVENT_V0] = "exec_event_v0",
        [SOURCE_UNKNOWN] = "unknown",
        [SOURCE_SDK_V1] = "sdk_v1",
    };

    assert((unsigned)source < SOURCES);
    return names[source];
}

const char *contract_drop_name(enum contract_drop drop)
{
    static const char *const names[CONTRACT_DROPS] = {
        [CONTRACT_KEPT] = "kept",
        [CONTRACT_BAD_JSON] = "bad_json",
        [CONTRACT_UNKNOWN_SCHEMA] = "unknown_schema",
        [CONTRACT_MISSING_FIELDS] = "missing_fields",
        [CONTRACT_OTHER] = "other",
    };

    assert((unsigned)drop < CONTRACT_DROPS);
    return names[drop];
}
