// test_header_cpp.cc - <ailive/ailive.h> alone, as C++17: compiles, links and records.
#include <ailive/ailive.h>

#include <cstdio>
#include <cstring>

static_assert(sizeof(ailive_writer) == 64, "the layout is the same as in C");

static int fail(int line)
{
    std::fprintf(stderr, "%s:%d failed\n", __FILE__, line);
    return 1;
}

int main()
{
    ailive_options options = AILIVE_OPTIONS_INIT;
    ailive *instance = nullptr;
    ailive_record record{};
    ailive_name stage = 0;

    options.memory_sink = 1;
    if (ailive_open(&options, &instance) != AILIVE_OK)
        return fail(__LINE__);
    if (ailive_register(instance, AILIVE_NAME_STAGE, "risk_check", &stage) != AILIVE_OK)
        return fail(__LINE__);
    if (ailive_record_stage(instance, stage, 1234) != AILIVE_OK)
        return fail(__LINE__);
    if (ailive_memory_read(instance, &record) != 1 || record.kind != AILIVE_KIND_STAGE ||
        record.latency_ns != 1234 || std::strcmp(record.stage, "risk_check") != 0)
        return fail(__LINE__);
    return ailive_close(instance, 0) == AILIVE_OK ? 0 : fail(__LINE__);
}
