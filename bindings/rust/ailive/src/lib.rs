//! Records AI decisions, actions and latencies inside a host process: `libailive` for Rust.
//!
//! ```no_run
//! use ailive::{Action, Client, Decision, Reason};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), ailive::Error> {
//! let telemetry = Client::builder().component("router").run_id("paper_7").open()?;
//! let route = telemetry.stage("order_router")?; // at start: registering takes a lock
//! {
//!     let _timer = telemetry.time(route); // records the stage's latency when it is dropped
//! }
//! telemetry.decision(Decision::Reject, Reason::RISK_LIMIT, Action::None, Some(Duration::from_micros(2100)));
//! telemetry.close(Duration::from_secs(1))?; // or drop it
//! # Ok(())
//! # }
//! ```
//!
//! A recording call is wait-free: no lock, no allocation, no system call. It gives `true` when the record was taken and
//! `false` when it was dropped and counted (a full ring, `AILIVE_DISABLED=1`); it never blocks and never panics.
//!
//! A [`Client`] is `Send + Sync`: share it by reference or in an `Arc`. It is closed once nobody can call it any more,
//! which is what the C library asks for. Handles ([`Reason`], [`Stage`], [`Component`], [`RunId`]) mean something to the
//! client that gave them out: with another, records are counted under another name or as invalid.
#![deny(missing_docs)]

use ailive_sys as sys;
use std::ffi::{c_void, CStr, CString};
use std::fmt;
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why opening, registering, flushing or closing failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(i32);

impl Error {
    /// An argument is out of range, or a text has a NUL.
    pub const INVALID: Error = Error(sys::AILIVE_EINVAL);
    /// A name or path is longer than its limit (names: 96 bytes).
    pub const TOO_LONG: Error = Error(sys::AILIVE_ETOOLONG);
    /// A limit is reached: 1,000 names, 64 instances.
    pub const LIMIT: Error = Error(sys::AILIVE_ELIMIT);
    /// The time was over first.
    pub const TIMED_OUT: Error = Error(sys::AILIVE_ETIMEDOUT);
    /// A system call failed; the log was told which one.
    pub const SYSTEM: Error = Error(sys::AILIVE_ESYS);
    /// Not possible here; when opening: the library has another binary interface, or lacks the URL's road.
    pub const NOT_SUPPORTED: Error = Error(sys::AILIVE_ENOTSUP);

    /// The C library's status.
    pub fn status(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: gives a constant text for every number.
        f.write_str(&unsafe { CStr::from_ptr(sys::ailive_strerror(self.0)) }.to_string_lossy())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {})", self.0, self)
    }
}

impl std::error::Error for Error {}

fn checked(status: i32) -> Result<(), Error> {
    if status == sys::AILIVE_OK {
        Ok(())
    } else {
        Err(Error(status))
    }
}

/// "MAJOR.MINOR.PATCH" of the library that is loaded.
pub fn version() -> &'static str {
    // SAFETY: a constant text in ASCII.
    unsafe { CStr::from_ptr(sys::ailive_version()) }.to_str().unwrap_or("")
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum Decision {
    Accept = sys::AILIVE_ACCEPT,
    Reject = sys::AILIVE_REJECT,
    Noop = sys::AILIVE_NOOP,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum Action {
    /// With a decision: it led to no action.
    None = sys::AILIVE_ACTION_NONE,
    OrderIntent = sys::AILIVE_ORDER_INTENT,
    OrderRequest = sys::AILIVE_ORDER_REQUEST,
    Submit = sys::AILIVE_SUBMIT,
    Cancel = sys::AILIVE_CANCEL,
    Fill = sys::AILIVE_FILL,
}

/// A decision's reason: one of the contract's eight, or one registered with [`Client::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(sys::ailive_name);

#[allow(missing_docs)]
impl Reason {
    pub const NONE: Reason = Reason(sys::AILIVE_REASON_NONE);
    pub const NO_SIGNAL: Reason = Reason(sys::AILIVE_REASON_NO_SIGNAL);
    pub const COOLDOWN: Reason = Reason(sys::AILIVE_REASON_COOLDOWN);
    pub const MARKET_CLOSED: Reason = Reason(sys::AILIVE_REASON_MARKET_CLOSED);
    pub const RISK_LIMIT: Reason = Reason(sys::AILIVE_REASON_RISK_LIMIT);
    pub const GOVERNANCE_NO_LIVE: Reason = Reason(sys::AILIVE_REASON_GOVERNANCE_NO_LIVE);
    pub const INVALID_ORDER: Reason = Reason(sys::AILIVE_REASON_INVALID_ORDER);
    pub const OTHER: Reason = Reason(sys::AILIVE_REASON_OTHER);
}

/// A registered stage of the host's work: [`Client::stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage(sys::ailive_name);

/// A registered component: [`Client::component`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component(sys::ailive_name);

impl Component {
    /// The one the client was opened with.
    pub const DEFAULT: Component = Component(sys::AILIVE_COMPONENT_DEFAULT);
}

/// A registered run id: [`Client::run_id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(sys::ailive_name);

impl RunId {
    /// The one the client was opened with.
    pub const DEFAULT: RunId = RunId(sys::AILIVE_RUN_ID_DEFAULT);
}

/// For whom a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its component.
    pub component: Component,
    /// Its run id.
    pub run_id: RunId,
}

impl Default for Scope {
    fn default() -> Self {
        Scope { component: Component::DEFAULT, run_id: RunId::DEFAULT }
    }
}

impl Scope {
    fn word(self) -> u64 {
        sys::ailive_scope_word(self.component.0, self.run_id.0)
    }
}

/// Since opening: see `struct ailive_stats` of the header.
pub type Stats = sys::ailive_stats;

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warning,
    Info,
}

type Log = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Passes a line on. A panic in the closure must not unwind into C: it ends here.
unsafe extern "C" fn log_line(context: *mut c_void, level: u32, line: *const c_char) {
    let log = &*(context as *const Log);
    let level = match level {
        sys::AILIVE_LOG_ERROR => Level::Error,
        sys::AILIVE_LOG_WARNING => Level::Warning,
        _ => Level::Info,
    };
    let text = CStr::from_ptr(line).to_string_lossy();
    let _ = catch_unwind(AssertUnwindSafe(|| log(level, &text)));
}

/// How to open a [`Client`]; what is not set has the default that stands at the field in the header.
#[derive(Default)]
pub struct Builder {
    component: String,
    run_id: String,
    ipc_url: String,
    runtime_dir: String,
    spool_dir: String,
    ring_records: u32,
    spool_after: Duration,
    spool_file_bytes: u64,
    spool_max_bytes: u64,
    tls_cert: String,
    tls_ca: String,
    remote_plaintext: bool,
    memory_sink: bool,
    close_timeout: Option<Duration>,
    log: Option<Log>,
}

impl Builder {
    /// Component of the records; at most 96 bytes.
    pub fn component(mut self, component: impl Into<String>) -> Self {
        self.component = component.into();
        self
    }

    /// Run id of the records; at most 96 bytes.
    pub fn run_id(mut self, run_id: impl Into<String>) -> Self {
        self.run_id = run_id.into();
        self
    }

    /// The sidecar's URL.
    pub fn ipc_url(mut self, url: impl Into<String>) -> Self {
        self.ipc_url = url.into();
        self
    }

    /// Where the rings lie; on tmpfs.
    pub fn runtime_dir(mut self, folder: impl Into<String>) -> Self {
        self.runtime_dir = folder.into();
        self
    }

    /// Where the fallback files lie.
    pub fn spool_dir(mut self, folder: impl Into<String>) -> Self {
        self.spool_dir = folder.into();
        self
    }

    /// Records a thread's ring holds: 64 to 16,777,216.
    pub fn ring_records(mut self, records: u32) -> Self {
        self.ring_records = records;
        self
    }

    /// How long the sidecar may be silent before records go to the spool.
    pub fn spool_after(mut self, silence: Duration) -> Self {
        self.spool_after = silence;
        self
    }

    /// A spool file is closed at this size.
    pub fn spool_file_bytes(mut self, bytes: u64) -> Self {
        self.spool_file_bytes = bytes;
        self
    }

    /// All spool files of this client together.
    pub fn spool_max_bytes(mut self, bytes: u64) -> Self {
        self.spool_max_bytes = bytes;
        self
    }

    /// tls+tcp: PEM files with our certificate and its key, and with who may sign the sidecar's.
    pub fn tls(mut self, cert: impl Into<String>, ca: impl Into<String>) -> Self {
        self.tls_cert = cert.into();
        self.tls_ca = ca.into();
        self
    }

    /// Allows tcp and ws beyond loopback, where anyone may read and forge.
    pub fn remote_plaintext(mut self) -> Self {
        self.remote_plaintext = true;
        self
    }

    /// Nothing leaves the process; [`Client::memory_read`] gives back what was recorded. For unit tests.
    pub fn memory_sink(mut self) -> Self {
        self.memory_sink = true;
        self
    }

    /// How long dropping the client may wait for the sidecar; 1 s when not set.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = Some(timeout);
        self
    }

    /// Is told what goes wrong, one line at a time, by the library's own thread or by one that opens, closes or records
    /// for the first time. Must not call the client.
    pub fn log(mut self, log: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Opens. Does not wait for a sidecar.
    pub fn open(self) -> Result<Client, Error> {
        // SAFETY: only gives a number.
        if unsafe { sys::ailive_abi() } != sys::AILIVE_ABI {
            return Err(Error::NOT_SUPPORTED); // its structs are not ours
        }
        let text = |text: &str| CString::new(text).map_err(|_| Error::INVALID);
        let (component, run_id) = (text(&self.component)?, text(&self.run_id)?);
        let (ipc_url, runtime_dir) = (text(&self.ipc_url)?, text(&self.runtime_dir)?);
        let spool_dir = text(&self.spool_dir)?;
        let (tls_cert, tls_ca) = (text(&self.tls_cert)?, text(&self.tls_ca)?);
        // Boxed twice: C keeps one plain pointer.
        let log = self.log.map(Box::new);
        let options = sys::ailive_options {
            size: std::mem::size_of::<sys::ailive_options>(),
            component: component.as_ptr(),
            run_id: run_id.as_ptr(),
            ipc_url: ipc_url.as_ptr(),
            runtime_dir: runtime_dir.as_ptr(),
            spool_dir: spool_dir.as_ptr(),
            ring_records: self.ring_records,
            spool_after_ms: milliseconds(self.spool_after),
            spool_file_bytes: self.spool_file_bytes,
            spool_max_bytes: self.spool_max_bytes,
            log: log.as_ref().map(|_| log_line as unsafe extern "C" fn(*mut c_void, u32, *const c_char)),
            log_context: log.as_ref().map_or(ptr::null_mut(), |log| &**log as *const Log as *mut c_void),
            tls_cert: tls_cert.as_ptr(),
            tls_ca: tls_ca.as_ptr(),
            remote_plaintext: self.remote_plaintext as i32,
            memory_sink: self.memory_sink as i32,
        };
        let mut instance = ptr::null_mut();
        // SAFETY: the texts live to the end of the call, which copies them; the log lives until the client's end.
        checked(unsafe { sys::ailive_open(&options, &mut instance) })?;
        let close_timeout = self.close_timeout.unwrap_or(Duration::from_secs(1));
        Ok(Client { instance, close_timeout, _log: log })
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Nanoseconds as the library counts them; what does not fit is cut to the largest.
fn latency(duration: Option<Duration>) -> i64 {
    duration.map_or(sys::AILIVE_NO_LATENCY, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

fn time(when: Option<SystemTime>) -> i64 {
    let nanoseconds = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    when.map_or(sys::AILIVE_NOW, |when| match when.duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    })
}

/// Time since it was made, by the clock that records are stamped with.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(u64);

impl Stopwatch {
    /// Begins.
    #[inline]
    pub fn start() -> Self {
        // SAFETY: reads a clock.
        Stopwatch(unsafe { sys::ailive_ticks() })
    }

    /// What has passed since.
    #[inline]
    pub fn elapsed(self) -> Duration {
        // SAFETY: as above. Never negative.
        Duration::from_nanos(unsafe { sys::ailive_elapsed_ns(self.0) } as u64)
    }
}

/// Records a stage's latency when it is dropped, by return, `?` or panic. From [`Client::time`].
#[must_use = "a timer that is not kept measures nothing"]
pub struct Timer<'a> {
    client: &'a Client,
    stage: Stage,
    scope: Scope,
    watch: Stopwatch,
}

impl Timer<'_> {
    /// Records now.
    pub fn stop(self) {}

    /// Records nothing.
    pub fn cancel(self) {
        std::mem::forget(self); // owns nothing
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.client.stage_latency_for(self.scope, None, self.stage, self.watch.elapsed());
    }
}

/// One record, as a test reads it from the memory sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was decided; none unless a decision.
    pub decision: Option<Decision>,
    /// What was done.
    pub action: Action,
    /// A decision's reason.
    pub reason: Option<String>,
    /// A stage latency's stage.
    pub stage: Option<String>,
    /// For whom.
    pub component: String,
    /// For whom.
    pub run_id: String,
    /// UTC, nanoseconds since 1970.
    pub time_ns: i64,
    /// Nanoseconds.
    pub latency_ns: Option<i64>,
}

/// An open instance. Closes when it is dropped.
pub struct Client {
    instance: *mut sys::ailive,
    close_timeout: Duration,
    _log: Option<Box<Log>>, // called through its address until the instance is closed
}

// SAFETY: every function of the library may be called from any thread, but for the memory sink's reader, which takes
// `&mut self`, and closing, which takes `self`.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// How to open one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn register(&self, kind: u32, text: &str) -> Result<sys::ailive_name, Error> {
        let text = CString::new(text).map_err(|_| Error::INVALID)?;
        let mut handle = 0;
        // SAFETY: the instance is open while self lives; text lives to the end of the call.
        checked(unsafe { sys::ailive_register(self.instance, kind, text.as_ptr(), &mut handle) })?;
        Ok(handle)
    }

    /// Registers a reason, or finds it. 1 to 96 bytes without NUL. Takes a lock: call it at start.
    pub fn reason(&self, text: &str) -> Result<Reason, Error> {
        self.register(sys::AILIVE_NAME_REASON, text).map(Reason)
    }

    /// Registers a stage, as [`Client::reason`].
    pub fn stage(&self, text: &str) -> Result<Stage, Error> {
        self.register(sys::AILIVE_NAME_STAGE, text).map(Stage)
    }

    /// Registers a component, as [`Client::reason`].
    pub fn component(&self, text: &str) -> Result<Component, Error> {
        self.register(sys::AILIVE_NAME_COMPONENT, text).map(Component)
    }

    /// Registers a run id, as [`Client::reason`].
    pub fn run_id(&self, text: &str) -> Result<RunId, Error> {
        self.register(sys::AILIVE_NAME_RUN_ID, text).map(RunId)
    }

    #[inline]
    fn record(&self, scope: Scope, time_ns: i64, latency_ns: i64, what: u64) -> bool {
        // SAFETY: the instance is open while self lives.
        sys::AILIVE_OK == unsafe { sys::ailive_record_words(self.instance, time_ns, latency_ns, what, scope.word()) }
    }

    /// A decision, its reason, the action it led to, and how long it took.
    #[inline]
    pub fn decision(&self, decision: Decision, reason: Reason, action: Action, took: Option<Duration>) -> bool {
        self.decision_for(Scope::default(), None, decision, reason, action, took)
    }

    /// The same for another component or run id, and at a given time; `None`: now.
    #[inline]
    pub fn decision_for(
        &self,
        scope: Scope,
        when: Option<SystemTime>,
        decision: Decision,
        reason: Reason,
        action: Action,
        took: Option<Duration>,
    ) -> bool {
        let what = sys::ailive_what(sys::AILIVE_KIND_DECISION, decision as u32, action as u32, reason.0, 0);
        self.record(scope, time(when), latency(took), what)
    }

    /// An action without a decision. [`Action::None`] is counted as invalid here.
    #[inline]
    pub fn action(&self, action: Action) -> bool {
        self.action_for(Scope::default(), None, action)
    }

    /// The same for another component or run id, and at a given time; `None`: now.
    #[inline]
    pub fn action_for(&self, scope: Scope, when: Option<SystemTime>, action: Action) -> bool {
        let what = sys::ailive_what(sys::AILIVE_KIND_ACTION, 0, action as u32, 0, 0);
        self.record(scope, time(when), sys::AILIVE_NO_LATENCY, what)
    }

    /// How long one stage of the host's work took.
    #[inline]
    pub fn stage_latency(&self, stage: Stage, took: Duration) -> bool {
        self.stage_latency_for(Scope::default(), None, stage, took)
    }

    /// The same for another component or run id, and at a given time; `None`: now.
    #[inline]
    pub fn stage_latency_for(&self, scope: Scope, when: Option<SystemTime>, stage: Stage, took: Duration) -> bool {
        let what = sys::ailive_what(sys::AILIVE_KIND_STAGE, 0, 0, 0, stage.0);
        self.record(scope, time(when), latency(Some(took)), what)
    }

    /// Times a stage until the guard is dropped.
    #[inline]
    pub fn time(&self, stage: Stage) -> Timer<'_> {
        self.time_for(Scope::default(), stage)
    }

    /// The same for another component or run id.
    #[inline]
    pub fn time_for(&self, scope: Scope, stage: Stage) -> Timer<'_> {
        Timer { client: self, stage, scope, watch: Stopwatch::start() }
    }

    /// Waits until every record made before is acknowledged by the sidecar or safe in the spool.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        // SAFETY: the instance is open while self lives.
        checked(unsafe { sys::ailive_flush(self.instance, milliseconds(timeout)) })
    }

    /// Totals since opening.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        // SAFETY: the instance is open while self lives.
        unsafe { sys::ailive_stats(self.instance, &mut stats) };
        stats
    }

    /// The oldest record of one ring after the other, from a client with [`Builder::memory_sink`].
    pub fn memory_read(&mut self) -> Option<Record> {
        let mut record = std::mem::MaybeUninit::<sys::ailive_record>::uninit();
        // SAFETY: &mut self: one reader at a time. Filled when it gives 1; its texts live until the close.
        let record = unsafe {
            if sys::ailive_memory_read(self.instance, record.as_mut_ptr()) != 1 {
                return None;
            }
            record.assume_init()
        };
        let text = |at: *const c_char| {
            // SAFETY: NULL or a text of the instance's.
            (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned())
        };
        Some(Record {
            decision: [Decision::Accept, Decision::Reject, Decision::Noop]
                .into_iter()
                .find(|d| *d as u32 == record.decision),
            action: [Action::OrderIntent, Action::OrderRequest, Action::Submit, Action::Cancel, Action::Fill]
                .into_iter()
                .find(|a| *a as u32 == record.action)
                .unwrap_or(Action::None),
            reason: text(record.reason),
            stage: text(record.stage),
            component: text(record.component).unwrap_or_default(),
            run_id: text(record.run_id).unwrap_or_default(),
            time_ns: record.time_ns,
            latency_ns: (record.latency_ns != sys::AILIVE_NO_LATENCY).then_some(record.latency_ns),
        })
    }

    /// What dropping does, with its result: waits for the sidecar, spools what is left. [`Error::TIMED_OUT`]: records
    /// are left in the rings, for the sidecar to collect.
    pub fn close(mut self, timeout: Duration) -> Result<(), Error> {
        let instance = std::mem::replace(&mut self.instance, ptr::null_mut());
        // SAFETY: self is ours alone, so that no other call is under way; never closed twice.
        checked(unsafe { sys::ailive_close(instance, milliseconds(timeout)) })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            // SAFETY: as in close().
            unsafe { sys::ailive_close(self.instance, milliseconds(self.close_timeout)) };
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stats", &self.stats()).finish()
    }
}
