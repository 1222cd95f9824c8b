/* peer_spdlog.cc - one decision through spdlog's asynchronous logger into a file.
 *
 *     peer_spdlog FILE [--quick]
 */
#include "peer_calls.h"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

static std::shared_ptr<spdlog::logger> logger;

static void call(uint64_t i)
{
    logger->info("decision={} reason={} action={} component={} run_id={} latency_ns={}", "reject",
                 "risk_limit", "none", "execution_watch", "demo", i);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    peer_there();
    spdlog::init_thread_pool(8192, 1); /* its default */
    logger = spdlog::basic_logger_mt<spdlog::async_factory>("bench", argv[1], true);
    peer_here();
    peer_calls(argc, argv, call);
    logger.reset();
    spdlog::shutdown();
    return 0;
}
