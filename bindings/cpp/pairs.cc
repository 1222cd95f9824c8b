// pairs.cc - each call of ailive.hpp beside the C call it stands for; test_same_code.py compares their
// machine code.
//
// The C side gets its instance as the C++ side does, by reference: a client is one pointer and what opening
// said.
#include "ailive.hpp"

struct holder {
    ailive *instance;
};

extern "C" {

int c_decision(const holder &t, int64_t ns);
int c_decision(const holder &t, int64_t ns)
{
    return ailive_record_decision(t.instance, AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_SUBMIT, ns);
}

int cpp_decision(const ailive_cpp::client &t, int64_t ns);
int cpp_decision(const ailive_cpp::client &t, int64_t ns)
{
    return t.record_decision(ailive_cpp::decision::reject, ailive_cpp::reasons::risk_limit,
                             ailive_cpp::action::submit, ailive_cpp::nanoseconds(ns));
}

int c_decision_for(const holder &t, ailive_scope scope, int64_t when, ailive_name why);
int c_decision_for(const holder &t, ailive_scope scope, int64_t when, ailive_name why)
{
    return ailive_record_decision_for(t.instance, scope, when, AILIVE_ACCEPT, why, AILIVE_ACTION_NONE,
                                      AILIVE_NO_LATENCY);
}

int cpp_decision_for(const ailive_cpp::client &t, ailive_cpp::scope scope, int64_t when, ailive_name why);
int cpp_decision_for(const ailive_cpp::client &t, ailive_cpp::scope scope, int64_t when, ailive_name why)
{
    return t.record_decision(scope, ailive_cpp::time_point(ailive_cpp::nanoseconds(when)),
                             ailive_cpp::decision::accept, ailive_cpp::reason{why});
}

int c_action(const holder &t);
int c_action(const holder &t)
{
    return ailive_record_action(t.instance, AILIVE_FILL);
}

int cpp_action(const ailive_cpp::client &t);
int cpp_action(const ailive_cpp::client &t)
{
    return t.record_action(ailive_cpp::action::fill);
}

int c_stage(const holder &t, ailive_name stage, int64_t ns);
int c_stage(const holder &t, ailive_name stage, int64_t ns)
{
    return ailive_record_stage(t.instance, stage, ns);
}

int cpp_stage(const ailive_cpp::client &t, ailive_name stage, int64_t ns);
int cpp_stage(const ailive_cpp::client &t, ailive_name stage, int64_t ns)
{
    return t.record_stage(ailive_cpp::stage{stage}, ailive_cpp::nanoseconds(ns));
}

void c_timed(const holder &t, ailive_name stage);
void c_timed(const holder &t, ailive_name stage)
{
    uint64_t began = ailive_ticks();
    ailive_record_stage(t.instance, stage, ailive_elapsed_ns(began));
}

void cpp_timed(const ailive_cpp::client &t, ailive_name stage);
void cpp_timed(const ailive_cpp::client &t, ailive_name stage)
{
    auto timed = t.time(ailive_cpp::stage{stage});
}

} // extern "C"
