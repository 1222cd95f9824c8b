// ailive.hpp - <ailive/ailive.h> for C++17: an instance that closes itself, typed names, scoped timers.
//
// Place on the route: host thread -> [this header] -> the inline calls of <ailive/ailive.h>. Header-only, no
// logic and no state of its own. A recording call compiles to the instructions of the C call.
//
// Nothing here throws, at opening and registration neither: a component must not fall over because its
// telemetry is unwell. What went wrong stands in client::status(); a client that did not open turns calls
// into counted no-ops.
//
//     ailive_cpp::client telemetry({.component = "router"});          // C++20; in C++17 set the members
//     const auto spread = telemetry.reason("spread_too_wide");    // at start: registration takes a lock
//     telemetry.record_decision(ailive_cpp::decision::reject, spread, ailive_cpp::action::none, 2100us);
//     { auto timed = telemetry.time(router); ... }                // records the stage latency here
//
// The namespace is ailive_cpp, because C's struct ailive has taken the shorter name; an alias is yours to
// make.
//
// Threads, fork, limits: as in <ailive/ailive.h>. A client may be used by any number of threads; moving or
// destroying it must not overlap other calls on it.
#ifndef AILIVE_HPP
#define AILIVE_HPP

#include <ailive/ailive.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace ailive_cpp
{

enum class decision {
    accept = AILIVE_ACCEPT,
    reject = AILIVE_REJECT,
    noop = AILIVE_NOOP
};

enum class action {
    none = AILIVE_ACTION_NONE, // with a decision: it led to no action
    order_intent = AILIVE_ORDER_INTENT,
    order_request = AILIVE_ORDER_REQUEST,
    submit = AILIVE_SUBMIT,
    cancel = AILIVE_CANCEL,
    fill = AILIVE_FILL
};

// Handles of registered names, one type for each kind, so that a stage cannot stand where a reason belongs.
// They mean something to the client that gave them out, and to its forked children.
struct reason {
    ailive_name handle = AILIVE_REASON_NONE;
};
struct stage {
    ailive_name handle = 0; // 0: none; a record with it is counted as dropped{reason="invalid"}
};
struct component {
    ailive_name handle = AILIVE_COMPONENT_DEFAULT;
};
struct run_id {
    ailive_name handle = AILIVE_RUN_ID_DEFAULT;
};

// The eight reasons of the contract. They need no registration.
namespace reasons
{
inline constexpr reason none{AILIVE_REASON_NONE};
inline constexpr reason no_signal{AILIVE_REASON_NO_SIGNAL};
inline constexpr reason cooldown{AILIVE_REASON_COOLDOWN};
inline constexpr reason market_closed{AILIVE_REASON_MARKET_CLOSED};
inline constexpr reason risk_limit{AILIVE_REASON_RISK_LIMIT};
inline constexpr reason governance_no_live{AILIVE_REASON_GOVERNANCE_NO_LIVE};
inline constexpr reason invalid_order{AILIVE_REASON_INVALID_ORDER};
inline constexpr reason other{AILIVE_REASON_OTHER};
} // namespace reasons

// For whom a record is.
struct scope {
    ailive_cpp::component component{};
    ailive_cpp::run_id run_id{};
};

using nanoseconds = std::chrono::duration<std::int64_t, std::nano>;
using time_point = std::chrono::time_point<std::chrono::system_clock, nanoseconds>;

inline constexpr nanoseconds no_latency{AILIVE_NO_LATENCY};
inline constexpr time_point now{nanoseconds{AILIVE_NOW}}; // stamped with the CPU's time stamp counter

// What client's constructor takes. Empty and 0: the default that stands at the field of struct
// ailive_options.
struct options {
    std::string component{};
    std::string run_id{};
    std::string ipc_url{};
    std::string runtime_dir{};
    std::string spool_dir{};
    std::uint32_t ring_records = 0;
    std::chrono::duration<std::uint32_t, std::milli> spool_after{0};
    std::uint64_t spool_file_bytes = 0;
    std::uint64_t spool_max_bytes = 0;
    ailive_log_fn log = nullptr;
    void *log_context = nullptr;
    std::string tls_cert{};
    std::string tls_ca{};
    bool remote_plaintext = false;
    bool memory_sink = false;
    std::chrono::duration<std::uint32_t, std::milli> close_timeout{1000}; // how long the destructor may wait
};

// Time since it was made, by the clock that records are stamped with. About 10 ns to read.
class stopwatch
{
  public:
    [[nodiscard]] nanoseconds elapsed() const noexcept
    {
        return nanoseconds{ailive_elapsed_ns(since_)};
    }

  private:
    std::uint64_t since_ = ailive_ticks();
};

// Records a stage's latency when it goes out of scope, by return or by exception. Made by client::time(),
// which it must not outlive.
class [[nodiscard]] scoped_timer
{
  public:
    scoped_timer(struct ailive *instance, stage timed, scope whose) noexcept
        : instance_(instance), stage_(timed), scope_(whose)
    {
    }
    scoped_timer(const scoped_timer &) = delete;
    scoped_timer &operator=(const scoped_timer &) = delete;
    ~scoped_timer()
    {
        stop();
    }

    // Records now; what comes later is not measured.
    void stop() noexcept
    {
        if (running_)
            ailive_record_stage_for(instance_, {scope_.component.handle, scope_.run_id.handle}, AILIVE_NOW,
                                    stage_.handle, watch_.elapsed().count());
        running_ = false;
    }

    // Nothing will be recorded.
    void cancel() noexcept
    {
        running_ = false;
    }

  private:
    stopwatch watch_{};
    struct ailive *instance_;
    stage stage_;
    scope scope_;
    bool running_ = true;
};

class client
{
  public:
    // Opens; see ailive_open(). Does not wait for a sidecar.
    explicit client(const options &wanted = {}) noexcept : close_timeout_ms_(wanted.close_timeout.count())
    {
        ailive_options plain = AILIVE_OPTIONS_INIT;

        plain.component = wanted.component.c_str();
        plain.run_id = wanted.run_id.c_str();
        plain.ipc_url = wanted.ipc_url.c_str();
        plain.runtime_dir = wanted.runtime_dir.c_str();
        plain.spool_dir = wanted.spool_dir.c_str();
        plain.ring_records = wanted.ring_records;
        plain.spool_after_ms = wanted.spool_after.count();
        plain.spool_file_bytes = wanted.spool_file_bytes;
        plain.spool_max_bytes = wanted.spool_max_bytes;
        plain.log = wanted.log;
        plain.log_context = wanted.log_context;
        plain.tls_cert = wanted.tls_cert.c_str();
        plain.tls_ca = wanted.tls_ca.c_str();
        plain.remote_plaintext = wanted.remote_plaintext ? 1 : 0;
        plain.memory_sink = wanted.memory_sink ? 1 : 0;
        status_ = ailive_open(&plain, &instance_);
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;
    client(client &&other) noexcept
        : instance_(std::exchange(other.instance_, nullptr)), status_(other.status_),
          close_timeout_ms_(other.close_timeout_ms_)
    {
    }
    client &operator=(client &&other) noexcept
    {
        if (this != &other) {
            close();
            instance_ = std::exchange(other.instance_, nullptr);
            status_ = other.status_;
            close_timeout_ms_ = other.close_timeout_ms_;
        }
        return *this;
    }
    ~client()
    {
        close();
    }

    // Whether it is open.
    explicit operator bool() const noexcept
    {
        return instance_ != nullptr;
    }

    // The first thing that went wrong at opening or registration; AILIVE_OK when nothing did.
    // ailive_strerror() gives its text.
    [[nodiscard]] int status() const noexcept
    {
        return status_;
    }

    // Registers a name, or finds it. At start, from one thread: it takes a lock and notes a failure in
    // status(). A name that cannot be registered (empty, over 96 bytes, with a NUL, the 1,001st) becomes
    // `other`, the default component or run id, or a stage whose records are counted as invalid.
    [[nodiscard]] ailive_cpp::reason reason(std::string_view text) noexcept
    {
        return {name(AILIVE_NAME_REASON, text, AILIVE_REASON_OTHER)};
    }
    [[nodiscard]] ailive_cpp::stage stage(std::string_view text) noexcept
    {
        return {name(AILIVE_NAME_STAGE, text, 0)};
    }
    [[nodiscard]] ailive_cpp::component component(std::string_view text) noexcept
    {
        return {name(AILIVE_NAME_COMPONENT, text, AILIVE_COMPONENT_DEFAULT)};
    }
    [[nodiscard]] ailive_cpp::run_id run_id(std::string_view text) noexcept
    {
        return {name(AILIVE_NAME_RUN_ID, text, AILIVE_RUN_ID_DEFAULT)};
    }

    // The recording calls: wait-free. They return AILIVE_OK, or why the record was dropped and counted. A
    // negative latency is counted as unobserved, the event itself counts.
    int record_decision(decision made, ailive_cpp::reason why = reasons::none, action led_to = action::none,
                        nanoseconds latency = no_latency) const noexcept
    {
        return ailive_record_decision(instance_, static_cast<ailive_decision>(made), why.handle,
                                      static_cast<ailive_action>(led_to), latency.count());
    }
    int record_decision(scope whose, time_point when, decision made, ailive_cpp::reason why = reasons::none,
                        action led_to = action::none, nanoseconds latency = no_latency) const noexcept
    {
        return ailive_record_decision_for(instance_, plain(whose), when.time_since_epoch().count(),
                                          static_cast<ailive_decision>(made), why.handle,
                                          static_cast<ailive_action>(led_to), latency.count());
    }

    // An action without a decision. action::none is invalid here.
    int record_action(action taken) const noexcept
    {
        return ailive_record_action(instance_, static_cast<ailive_action>(taken));
    }
    int record_action(scope whose, time_point when, action taken) const noexcept
    {
        return ailive_record_action_for(instance_, plain(whose), when.time_since_epoch().count(),
                                        static_cast<ailive_action>(taken));
    }

    int record_stage(ailive_cpp::stage timed, nanoseconds latency) const noexcept
    {
        return ailive_record_stage(instance_, timed.handle, latency.count());
    }
    int record_stage(scope whose, time_point when, ailive_cpp::stage timed,
                     nanoseconds latency) const noexcept
    {
        return ailive_record_stage_for(instance_, plain(whose), when.time_since_epoch().count(), timed.handle,
                                       latency.count());
    }

    // Times the rest of the enclosing block.
    scoped_timer time(ailive_cpp::stage timed, scope whose = {}) const noexcept
    {
        return {instance_, timed, whose};
    }

    // See ailive_flush(), ailive_stats(), ailive_memory_read().
    int flush(std::chrono::duration<std::uint32_t, std::milli> timeout) const noexcept
    {
        return ailive_flush(instance_, timeout.count());
    }
    [[nodiscard]] struct ailive_stats stats() const noexcept
    {
        struct ailive_stats out {
        };
        ::ailive_stats(instance_, &out);
        return out;
    }
    bool memory_read(ailive_record &out) const noexcept
    {
        return ailive_memory_read(instance_, &out) == 1;
    }

    // What the destructor does, with its status: see ailive_close(). Harmless when closed or moved from.
    int close() noexcept
    {
        return instance_ == nullptr ? static_cast<int>(AILIVE_ECLOSED)
                                    : ailive_close(std::exchange(instance_, nullptr), close_timeout_ms_);
    }

    // For calls that only C has.
    [[nodiscard]] struct ailive *native() const noexcept
    {
        return instance_;
    }

  private:
    static ailive_scope plain(scope whose) noexcept
    {
        return {whose.component.handle, whose.run_id.handle};
    }

    ailive_name name(ailive_name_kind kind, std::string_view text, ailive_name otherwise) noexcept
    {
        char terminated[AILIVE_NAME_MAX_BYTES + 1];
        int status = AILIVE_OK;

        if (text.size() > AILIVE_NAME_MAX_BYTES)
            status = AILIVE_ETOOLONG;
        else if (text.empty() || text.find('\0') != std::string_view::npos)
            status = AILIVE_EINVAL;
        if (status == AILIVE_OK) {
            std::memcpy(terminated, text.data(), text.size());
            terminated[text.size()] = '\0';
            status = ailive_register(instance_, kind, terminated, &otherwise);
        }
        if (status_ == AILIVE_OK)
            status_ = status;
        return otherwise;
    }

    struct ailive *instance_ = nullptr;
    int status_ = AILIVE_OK;
    std::uint32_t close_timeout_ms_;
};

} // namespace ailive_cpp

#endif
