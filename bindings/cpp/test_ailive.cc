// test_ailive.cc - claims about ailive.hpp. Each is a function; the process ends with 1 when one is false.
#include "ailive.hpp"

#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace std::chrono_literals;

static int failures;

static void check(bool holds, const char *what, int line)
{
    if (holds)
        return;
    std::fprintf(stderr, "test_ailive.cc:%d: false: %s\n", line, what);
    failures++;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

static ailive_cpp::options sink()
{
    ailive_cpp::options options;

    options.component = "router";
    options.run_id = "run-7";
    options.memory_sink = true;
    return options;
}

static std::optional<ailive_record> next(const ailive_cpp::client &telemetry)
{
    ailive_record record{};

    return telemetry.memory_read(record) ? std::optional(record) : std::nullopt;
}

static void a_decision_reads_back_as_recorded()
{
    ailive_cpp::client telemetry(sink());
    auto spread = telemetry.reason(std::string_view("spread_too_wide, and more").substr(0, 15));

    CHECK(telemetry && telemetry.status() == AILIVE_OK);
    CHECK(telemetry.record_decision(ailive_cpp::decision::reject, spread, ailive_cpp::action::submit, 2ms) ==
          AILIVE_OK);
    CHECK(telemetry.record_decision(ailive_cpp::decision::noop) == AILIVE_OK);
    auto record = next(telemetry);
    CHECK(record && record->kind == AILIVE_KIND_DECISION && record->decision == AILIVE_REJECT);
    CHECK(record && std::strcmp(record->reason, "spread_too_wide") == 0 && record->action == AILIVE_SUBMIT);
    CHECK(record && record->latency_ns == 2000000 && std::strcmp(record->component, "router") == 0);
    record = next(telemetry);
    CHECK(record && record->decision == AILIVE_NOOP && std::strcmp(record->reason, "none") == 0);
    CHECK(record && record->latency_ns == AILIVE_NO_LATENCY && record->action == AILIVE_ACTION_NONE);
    CHECK(!next(telemetry));
}

static void scope_and_time_are_the_callers()
{
    ailive_cpp::client telemetry(sink());
    ailive_cpp::scope whose{telemetry.component("risk"), telemetry.run_id("paper_9")};
    ailive_cpp::time_point when{1769303388123456789ns};
    auto checked = telemetry.stage("risk_check");

    telemetry.record_decision(whose, when, ailive_cpp::decision::accept);
    telemetry.record_action(whose, when, ailive_cpp::action::fill);
    telemetry.record_stage(whose, ailive_cpp::now, checked, 5us);
    auto record = next(telemetry);
    CHECK(record && std::strcmp(record->component, "risk") == 0 &&
          std::strcmp(record->run_id, "paper_9") == 0);
    CHECK(record && record->time_ns == 1769303388123456789);
    record = next(telemetry);
    CHECK(record && record->kind == AILIVE_KIND_ACTION && record->action == AILIVE_FILL);
    CHECK(record && record->time_ns == 1769303388123456789);
    record = next(telemetry);
    CHECK(record && std::strcmp(record->stage, "risk_check") == 0 && record->latency_ns == 5000);
    CHECK(record && record->time_ns > 1769303388123456789);
}

static void a_timer_records_once_by_return_exception_or_stop_and_never_when_cancelled()
{
    ailive_cpp::client telemetry(sink());
    auto routed = telemetry.stage("order_router");

    {
        auto timed = telemetry.time(routed);
        std::this_thread::sleep_for(1ms);
    }
    auto record = next(telemetry);
    CHECK(record && record->kind == AILIVE_KIND_STAGE && record->latency_ns >= 1000000);
    try {
        auto timed = telemetry.time(routed);
        throw std::runtime_error("the router's own");
    } catch (const std::runtime_error &) {
    }
    CHECK(next(telemetry).has_value());
    {
        auto timed = telemetry.time(routed);
        timed.stop();
    }
    CHECK(next(telemetry).has_value());
    {
        auto timed = telemetry.time(routed);
        timed.cancel();
    }
    CHECK(!next(telemetry));
}

static void a_name_that_cannot_be_registered_falls_back_and_is_told()
{
    ailive_cpp::client telemetry(sink());

    CHECK(telemetry.reason(std::string(96, 'a')).handle > AILIVE_RUN_ID_DEFAULT);
    CHECK(telemetry.status() == AILIVE_OK);
    CHECK(telemetry.reason(std::string(97, 'a')).handle == AILIVE_REASON_OTHER);
    CHECK(telemetry.status() == AILIVE_ETOOLONG);
    CHECK(telemetry.component("").handle == AILIVE_COMPONENT_DEFAULT);
    CHECK(telemetry.run_id(std::string_view("a\0b", 3)).handle == AILIVE_RUN_ID_DEFAULT);
    CHECK(telemetry.stage(std::string_view()).handle == 0);
    CHECK(telemetry.status() == AILIVE_ETOOLONG); // the first one
}

static void a_client_that_did_not_open_is_a_counted_no_op()
{
    ailive_cpp::options wrong;

    wrong.ring_records = 1; // below the least
    ailive_cpp::client telemetry(wrong);
    auto ignored = telemetry.stats().ignored;
    CHECK(!telemetry && telemetry.status() == AILIVE_EINVAL);
    CHECK(telemetry.record_action(ailive_cpp::action::fill) == AILIVE_EINVAL);
    CHECK(telemetry.stats().ignored == ignored + 1);
    CHECK(telemetry.close() == AILIVE_ECLOSED);
}

static void a_moved_client_takes_the_instance_along_and_it_closes_once()
{
    ailive_cpp::client first(sink());
    struct ailive *instance = first.native();
    ailive_cpp::client second(std::move(first));
    ailive_cpp::client third(sink());

    CHECK(second.native() == instance);
    second.record_action(ailive_cpp::action::cancel);
    third = std::move(second);
    CHECK(third.native() == instance && next(third));
    CHECK(third.close() == AILIVE_OK && third.close() == AILIVE_ECLOSED && !third);
    CHECK(ailive_close(instance, 0) == AILIVE_ECLOSED);
}

static void threads_share_a_client()
{
    ailive_cpp::client telemetry(sink());
    std::vector<std::thread> threads;

    for (int i = 0; i < 4; i++)
        threads.emplace_back([&telemetry] {
            for (int n = 0; n < 1000; n++)
                telemetry.record_decision(ailive_cpp::decision::accept, ailive_cpp::reasons::cooldown);
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(telemetry.stats().recorded == 4000);
}

static void nothing_throws()
{
    using client = ailive_cpp::client;
    static_assert(noexcept(std::declval<client &>().record_decision(ailive_cpp::decision::accept)));
    static_assert(noexcept(std::declval<client &>().record_action(ailive_cpp::action::fill)));
    static_assert(
        noexcept(std::declval<client &>().record_stage(ailive_cpp::stage{}, ailive_cpp::no_latency)));
    static_assert(noexcept(std::declval<client &>().time(ailive_cpp::stage{})));
    static_assert(noexcept(std::declval<client &>().reason("x")));
    static_assert(std::is_nothrow_constructible_v<client, const ailive_cpp::options &>);
    static_assert(std::is_nothrow_destructible_v<client> && std::is_nothrow_move_constructible_v<client>);
    static_assert(!std::is_copy_constructible_v<client> &&
                  !std::is_copy_constructible_v<ailive_cpp::scoped_timer>);
    static_assert(!std::is_convertible_v<ailive_cpp::stage, ailive_cpp::reason>);
}

int main()
{
    a_decision_reads_back_as_recorded();
    scope_and_time_are_the_callers();
    a_timer_records_once_by_return_exception_or_stop_and_never_when_cancelled();
    a_name_that_cannot_be_registered_falls_back_and_is_told();
    a_client_that_did_not_open_is_a_counted_no_op();
    a_moved_client_takes_the_instance_along_and_it_closes_once();
    threads_share_a_client();
    nothing_throws();
    return failures == 0 ? 0 : 1;
}
