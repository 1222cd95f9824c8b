//! Claims about the safe crate, on the memory sink.
use ailive::{Action, Client, Decision, Error, Reason, Record, RunId, Scope, Stopwatch};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn sink() -> Client {
    Client::builder().component("router").run_id("run-7").memory_sink().open().unwrap()
}

fn all(client: &mut Client) -> Vec<Record> {
    std::iter::from_fn(|| client.memory_read()).collect()
}

#[test]
fn a_decision_reads_back_as_recorded() {
    let mut client = sink();
    let spread = client.reason("spread_too_wide").unwrap();
    assert!(client.decision(Decision::Reject, spread, Action::Submit, Some(Duration::from_millis(2))));
    assert!(client.decision(Decision::Noop, Reason::COOLDOWN, Action::None, None));
    let records = all(&mut client);
    assert_eq!(records.len(), 2);
    let first = &records[0];
    assert_eq!((first.decision, first.action), (Some(Decision::Reject), Action::Submit));
    assert_eq!(first.reason.as_deref(), Some("spread_too_wide"));
    assert_eq!((first.component.as_str(), first.run_id.as_str()), ("router", "run-7"));
    assert_eq!((first.latency_ns, &first.stage), (Some(2_000_000), &None));
    assert_eq!((records[1].decision, records[1].latency_ns), (Some(Decision::Noop), None));
    assert_eq!(records[1].reason.as_deref(), Some("cooldown"));
}

#[test]
fn scope_and_time_are_the_callers() {
    let mut client = sink();
    let scope = Scope { component: client.component("risk").unwrap(), run_id: RunId::DEFAULT };
    let when = Some(UNIX_EPOCH + Duration::from_nanos(1769303388123456789));
    let before_1970 = Some(UNIX_EPOCH - Duration::from_nanos(5));
    client.action_for(scope, when, Action::Fill);
    client.action_for(scope, before_1970, Action::Cancel);
    let now = SystemTime::now();
    client.action(Action::Fill);
    let records = all(&mut client);
    assert_eq!((records[0].component.as_str(), records[0].run_id.as_str()), ("risk", "run-7"));
    assert_eq!((records[0].time_ns, records[1].time_ns), (1769303388123456789, -5));
    let now_ns = now.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    assert!(records[2].time_ns >= now_ns - 1_000_000, "{} {}", records[2].time_ns, now_ns);
}

#[test]
fn a_timer_records_once_by_drop_panic_or_stop_and_never_when_cancelled() {
    let mut client = sink();
    let stage = client.stage("order_router").unwrap();
    {
        let _timer = client.time(stage);
        std::thread::sleep(Duration::from_millis(1));
    }
    let records = all(&mut client);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].stage.as_deref(), Some("order_router"));
    assert!(records[0].latency_ns.unwrap() >= 1_000_000);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _timer = client.time(stage);
        std::panic::resume_unwind(Box::new("the router's own"));
    }));
    assert!(panicked.is_err());
    assert_eq!(all(&mut client).len(), 1);
    client.time(stage).stop();
    assert_eq!(all(&mut client).len(), 1);
    client.time(stage).cancel();
    assert_eq!(all(&mut client).len(), 0);
}

#[test]
fn names_are_checked_and_found_again() {
    let client = sink();
    assert_eq!(client.reason("none").unwrap(), Reason::NONE);
    assert_eq!(client.stage("a").unwrap(), client.stage("a").unwrap());
    assert_ne!(client.stage("a").unwrap(), client.stage("b").unwrap());
    assert_eq!(client.stage(&"a".repeat(97)).unwrap_err(), Error::TOO_LONG);
    assert_eq!(client.stage("").unwrap_err(), Error::INVALID);
    assert_eq!(client.stage("a\0b").unwrap_err(), Error::INVALID);
    let limit = (0..2000).find_map(|i| client.stage(&format!("stage_{}", i)).err());
    assert_eq!(limit, Some(Error::LIMIT));
}

#[test]
fn what_cannot_be_opened_says_why() {
    assert_eq!(Client::builder().ring_records(1).open().unwrap_err(), Error::INVALID);
    assert_eq!(Client::builder().component("a\0b").open().unwrap_err(), Error::INVALID);
    assert_eq!(Client::builder().component("a".repeat(97)).open().unwrap_err(), Error::TOO_LONG);
    assert!(!Error::TOO_LONG.to_string().is_empty());
    assert!(ailive::version().starts_with("0."));
}

#[test]
fn threads_share_a_client() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let client = Arc::new(sink());
    shared(&*client);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = Arc::clone(&client);
            std::thread::spawn(move || {
                (0..1000).all(|_| client.decision(Decision::Accept, Reason::NONE, Action::Submit, None))
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    assert_eq!(client.stats().recorded, 4000);
}

#[test]
fn a_full_ring_drops_and_counts() {
    let client = Client::builder().memory_sink().ring_records(64).open().unwrap();
    let taken = (0..100).filter(|_| client.action(Action::Fill)).count() as u64;
    let stats = client.stats();
    assert_eq!((stats.recorded, stats.dropped_full), (taken, 100 - taken));
    assert!((32..100).contains(&taken));
}

#[test]
fn close_tells_and_drop_closes_without_a_sidecar() {
    let folder = std::env::temp_dir().join(format!("ailive-rust.{}", std::process::id()));
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let builder = || {
        let lines = Arc::clone(&lines);
        Client::builder()
            .runtime_dir(path("runtime"))
            .spool_dir(path("spool"))
            .ipc_url(format!("ipc://{}", path("none.sock")))
            .spool_after(Duration::from_millis(50))
            .close_timeout(Duration::from_millis(100))
            .log(move |_, line| {
                lines.lock().unwrap().push(line.to_string());
                std::panic::resume_unwind(Box::new("a panic in the log stays there"));
            })
    };
    let client = builder().open().unwrap();
    client.action(Action::Fill);
    client.flush(Duration::from_secs(20)).unwrap(); // into the spool
    assert_eq!(client.stats().spooled, 1);
    client.close(Duration::from_secs(1)).unwrap();
    let spool = std::fs::read_dir(path("spool")).unwrap().count();
    assert_eq!(spool, 1);
    assert!(lines.lock().unwrap().iter().any(|line| line.contains("spool")));
    {
        let dropped = builder().open().unwrap();
        dropped.action(Action::Fill);
    }
    assert_eq!(std::fs::read_dir(path("spool")).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(path("runtime")).unwrap().count(), 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_stopwatch_measures() {
    let watch = Stopwatch::start();
    std::thread::sleep(Duration::from_millis(2));
    assert!(watch.elapsed() >= Duration::from_millis(2));
}
