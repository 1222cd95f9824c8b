//! A component in Rust that records what it decides.
//!
//!     cargo run --example watch [IPC_URL]      by default where the sidecar listens by default
use ailive::{Action, Client, Decision, Reason, Stopwatch};
use std::time::Duration;

fn main() -> Result<(), ailive::Error> {
    let url = std::env::args().nth(1).unwrap_or_default();
    let telemetry = Client::builder().component("execution_watch").run_id("rust_example").ipc_url(url).open()?;
    let too_volatile = telemetry.reason("too_volatile")?;
    let risk_check = telemetry.stage("risk_check")?;

    for order in 0..10 {
        let watch = Stopwatch::start();
        {
            let _timer = telemetry.time(risk_check);
            // ... look at the order ...
        }
        let took = Some(watch.elapsed());
        if order % 5 == 0 {
            telemetry.decision(Decision::Reject, too_volatile, Action::None, took);
        } else {
            telemetry.decision(Decision::Accept, Reason::NONE, Action::Submit, took);
        }
    }
    telemetry.close(Duration::from_secs(1)) // dropping it would do; this tells whether all arrived
}
