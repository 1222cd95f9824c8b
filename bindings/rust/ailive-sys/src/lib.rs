//! `<ailive/ailive.h>` in Rust, written by hand: what each item means stands there. `tests/` compares every constant,
//! struct and function with the header.
//!
//! The header's inline recording calls are not here: they reach for a thread-local variable of the library, which stable
//! Rust cannot name. [`ailive_record_words`] is the same call, out of line.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_int, c_void};

pub const AILIVE_OK: c_int = 0;
pub const AILIVE_EINVAL: c_int = -1;
pub const AILIVE_ETOOLONG: c_int = -2;
pub const AILIVE_ECLOSED: c_int = -3;
pub const AILIVE_EFULL: c_int = -4;
pub const AILIVE_ENORING: c_int = -5;
pub const AILIVE_ELIMIT: c_int = -6;
pub const AILIVE_ETIMEDOUT: c_int = -7;
pub const AILIVE_ESYS: c_int = -8;
pub const AILIVE_EDISABLED: c_int = -9;
pub const AILIVE_ENOTSUP: c_int = -10;

pub const AILIVE_ABI: u32 = 0;

pub const AILIVE_ACCEPT: u32 = 1;
pub const AILIVE_REJECT: u32 = 2;
pub const AILIVE_NOOP: u32 = 3;

pub const AILIVE_ACTION_NONE: u32 = 0;
pub const AILIVE_ORDER_INTENT: u32 = 1;
pub const AILIVE_ORDER_REQUEST: u32 = 2;
pub const AILIVE_SUBMIT: u32 = 3;
pub const AILIVE_CANCEL: u32 = 4;
pub const AILIVE_FILL: u32 = 5;

pub type ailive_name = u16;

pub const AILIVE_REASON_NONE: ailive_name = 0;
pub const AILIVE_REASON_NO_SIGNAL: ailive_name = 1;
pub const AILIVE_REASON_COOLDOWN: ailive_name = 2;
pub const AILIVE_REASON_MARKET_CLOSED: ailive_name = 3;
pub const AILIVE_REASON_RISK_LIMIT: ailive_name = 4;
pub const AILIVE_REASON_GOVERNANCE_NO_LIVE: ailive_name = 5;
pub const AILIVE_REASON_INVALID_ORDER: ailive_name = 6;
pub const AILIVE_REASON_OTHER: ailive_name = 7;
pub const AILIVE_COMPONENT_DEFAULT: ailive_name = 8;
pub const AILIVE_RUN_ID_DEFAULT: ailive_name = 9;

pub const AILIVE_NAME_REASON: u32 = 1;
pub const AILIVE_NAME_STAGE: u32 = 2;
pub const AILIVE_NAME_COMPONENT: u32 = 3;
pub const AILIVE_NAME_RUN_ID: u32 = 4;

pub const AILIVE_NAME_MAX_BYTES: usize = 96;
pub const AILIVE_NAMES_MAX: usize = 1000;

pub const AILIVE_LOG_ERROR: u32 = 1;
pub const AILIVE_LOG_WARNING: u32 = 2;
pub const AILIVE_LOG_INFO: u32 = 3;

pub const AILIVE_KIND_DECISION: u32 = 1;
pub const AILIVE_KIND_ACTION: u32 = 2;
pub const AILIVE_KIND_STAGE: u32 = 3;

pub const AILIVE_NO_LATENCY: i64 = i64::MIN;
pub const AILIVE_NOW: i64 = i64::MIN;

/// An open instance; never looked into.
#[repr(C)]
pub struct ailive {
    _opaque: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

pub type ailive_log_fn = Option<unsafe extern "C" fn(context: *mut c_void, level: u32, line: *const c_char)>;

#[repr(C)]
pub struct ailive_options {
    pub size: usize,
    pub component: *const c_char,
    pub run_id: *const c_char,
    pub ipc_url: *const c_char,
    pub runtime_dir: *const c_char,
    pub spool_dir: *const c_char,
    pub ring_records: u32,
    pub spool_after_ms: u32,
    pub spool_file_bytes: u64,
    pub spool_max_bytes: u64,
    pub log: ailive_log_fn,
    pub log_context: *mut c_void,
    pub memory_sink: c_int,
    pub tls_cert: *const c_char,
    pub tls_ca: *const c_char,
    pub remote_plaintext: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ailive_stats {
    pub recorded: u64,
    pub dropped_full: u64,
    pub dropped_ring: u64,
    pub ignored: u64,
    pub shipped: u64,
    pub spooled: u64,

    pub dropped_spool: u64,
    pub pending: u64,
    pub spool_bytes: u64,
    pub wakeups: u64,
    pub rings: u32,
    pub connected: u32,
}

#[repr(C)]
pub struct ailive_record {
    pub kind: u32,
    pub decision: u32,
    pub action: u32,
    pub reason: *const c_char,
    pub stage: *const c_char,
    pub component: *const c_char,
    pub run_id: *const c_char,
    pub time_ns: i64,
    pub latency_ns: i64,
}

extern "C" {
    pub fn ailive_strerror(status: c_int) -> *const c_char;
    pub fn ailive_version() -> *const c_char;
    pub fn ailive_abi() -> u32;
    pub fn ailive_open(options: *const ailive_options, out: *mut *mut ailive) -> c_int;
    pub fn ailive_flush(instance: *mut ailive, timeout_ms: u32) -> c_int;
    pub fn ailive_close(instance: *mut ailive, timeout_ms: u32) -> c_int;
    pub fn ailive_register(instance: *mut ailive, kind: u32, text: *const c_char, out: *mut ailive_name) -> c_int;
    pub fn ailive_stats(instance: *const ailive, out: *mut ailive_stats) -> c_int;
    pub fn ailive_memory_read(instance: *mut ailive, out: *mut ailive_record) -> c_int;
    pub fn ailive_record_words(instance: *mut ailive, time_ns: i64, latency_ns: i64, what: u64, scope: u64) -> c_int;
    pub fn ailive_ticks() -> u64;
    pub fn ailive_elapsed_ns(since_ticks: u64) -> i64;
}

/// The word `what` of [`ailive_record_words`]: the header's `ailive_what()`.
#[inline]
pub const fn ailive_what(kind: u32, decision: u32, action: u32, reason: ailive_name, stage: ailive_name) -> u64 {
    kind as u64
        | (decision as u64 & 0xff) << 8
        | (action as u64 & 0xff) << 16
        | (reason as u64) << 32
        | (stage as u64) << 48
}

/// The word `scope` of [`ailive_record_words`]: the header's `ailive_scope_word()`.
#[inline]
pub const fn ailive_scope_word(component: ailive_name, run_id: ailive_name) -> u64 {
    component as u64 | (run_id as u64) << 16
}
