//! Times a recording call; `bench/bench_bindings.py` sets the folders and reads the line this prints.
//!
//!     calls REPEATS CALLS
//!
//! Nobody takes the records: the ring holds them all.
use ailive::{Action, Client, Decision, Reason};
use std::time::{Duration, Instant};

const GROUP: u64 = 20;

/// Mean of the lower 99 % of groups of 20 calls, in ns a call.
fn mean_ns(telemetry: &Client, calls: u64) -> f64 {
    let mut groups = Vec::new();

    for i in (0..calls).step_by(GROUP as usize) {
        let begin = Instant::now();
        for k in 0..GROUP {
            let took = Some(Duration::from_nanos(i + k));
            telemetry.decision(Decision::Reject, Reason::RISK_LIMIT, Action::None, took);
        }
        groups.push(begin.elapsed().as_nanos() as f64 / GROUP as f64);
    }
    groups.sort_by(f64::total_cmp);
    groups.truncate(groups.len() - groups.len() / 100);
    groups.iter().sum::<f64>() / groups.len() as f64
}

fn main() -> Result<(), ailive::Error> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let (repeats, calls) = (numbers[0], numbers[1]);
    let telemetry = Client::builder().ring_records(1 << 19).spool_after(Duration::from_secs(3600)).open()?;

    mean_ns(&telemetry, calls); // warms up
    let ns: Vec<f64> = (0..repeats).map(|_| mean_ns(&telemetry, calls)).collect();
    let (made, recorded) = (calls * (1 + repeats), telemetry.stats().recorded);
    println!("{{\"ns\": {:?}, \"calls\": {}, \"recorded\": {}}}", ns, made, recorded);
    Ok(())
}
