// watch.cc - a component in C++ that records what it decides.
//
//     c++ -std=c++17 -I sdk/include -I bindings/cpp watch.cc -lailive
//     watch [IPC_URL]        by default where the sidecar listens by default
#include "ailive.hpp"

#include <cstdio>

int main(int argc, char **argv)
{
    ailive_cpp::options options;

    options.component = "execution_watch";
    options.run_id = "cpp_example";
    if (argc > 1)
        options.ipc_url = argv[1];

    ailive_cpp::client telemetry(options);
    const auto too_volatile = telemetry.reason("too_volatile");
    const auto risk_check = telemetry.stage("risk_check");

    if (telemetry.status() != AILIVE_OK) // the component goes on all the same: calls are counted no-ops
        std::fprintf(stderr, "telemetry: %s\n", ailive_strerror(telemetry.status()));

    for (int order = 0; order < 10; order++) {
        ailive_cpp::stopwatch watch;
        {
            auto timed = telemetry.time(risk_check);
            /* ... look at the order ... */
        }
        if (order % 5 == 0)
            telemetry.record_decision(ailive_cpp::decision::reject, too_volatile, ailive_cpp::action::none,
                                      watch.elapsed());
        else
            telemetry.record_decision(ailive_cpp::decision::accept, ailive_cpp::reasons::none,
                                      ailive_cpp::action::submit, watch.elapsed());
    }
    return telemetry.close() == AILIVE_OK ? 0 : 1; // the destructor would do; this tells whether all arrived
}
