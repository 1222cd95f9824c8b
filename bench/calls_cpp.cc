// calls_cpp.cc - times a recording call of ailive.hpp beside the C call that it stands for, in turns.
//
// Place: [calls_cpp REPEATS CALLS] -> bench_bindings.py, which sets the folders and reads the line it prints.
// Nobody takes the records: the ring holds them all.
#include <ailive.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace
{

constexpr std::size_t group = 20;

// Mean of the lower 99 % of groups of 20 calls, in ns a call.
template <class Call> double mean_ns(std::size_t calls, Call call)
{
    std::vector<double> groups;

    for (std::size_t i = 0; i < calls; i += group) {
        const auto begin = std::chrono::steady_clock::now();
        for (std::size_t k = 0; k < group; k++)
            call(static_cast<std::int64_t>(i + k));
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
        groups.push_back(took.count() / group);
    }
    std::sort(groups.begin(), groups.end());
    groups.resize(groups.size() - groups.size() / 100);
    return std::accumulate(groups.begin(), groups.end(), 0.0) / static_cast<double>(groups.size());
}

void print(const char *key, const std::vector<double> &values)
{
    std::printf("\"%s\": [", key);
    for (std::size_t i = 0; i < values.size(); i++)
        std::printf("%s%.6g", i > 0 ? ", " : "", values[i]);
    std::printf("], ");
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const auto repeats = std::strtoul(argv[1], nullptr, 10), calls = std::strtoul(argv[2], nullptr, 10);
    ailive_cpp::options options;
    options.ring_records = 1u << 19;
    options.spool_after = std::chrono::hours(1);
    const ailive_cpp::client telemetry(options);
    const auto c = [&telemetry](std::int64_t ns) {
        ailive_record_decision(telemetry.native(), AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT,
                               AILIVE_ACTION_NONE, ns);
    };
    const auto cpp = [&telemetry](std::int64_t ns) {
        telemetry.record_decision(ailive_cpp::decision::reject, ailive_cpp::reasons::risk_limit,
                                  ailive_cpp::action::none, ailive_cpp::nanoseconds(ns));
    };
    std::vector<double> ours(repeats), beside(repeats);

    mean_ns(calls, c); // warms up
    for (std::size_t r = 0; r < repeats; r++) {
        if (r % 2 == 0) // nobody is always first
            beside[r] = mean_ns(calls, c);
        ours[r] = mean_ns(calls, cpp);
        if (r % 2 == 1)
            beside[r] = mean_ns(calls, c);
    }
    std::putchar('{');
    print("ns", ours);
    print("c_ns", beside);
    std::printf("\"calls\": %lu, \"recorded\": %llu}\n", calls * (1 + 2 * repeats),
                static_cast<unsigned long long>(telemetry.stats().recorded));
    return 0;
}
