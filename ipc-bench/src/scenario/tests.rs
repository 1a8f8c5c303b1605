//! The open loop against a server that stops for a while, by a clock that is driven.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::calls::echo;
use crate::clock::now;
use crate::meter::{Meter, Part};
use crate::pace::Arrivals;
use crate::transport::{Client, Failure, Transport};
use crate::workload::{Amount, Flavor, Workload};

/// Takes a millisecond for each call, one after the other; the thousandth takes a second.
#[derive(Clone, Default)]
struct Stalls(Arc<Mutex<u32>>);

impl Client for Stalls {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let mut calls = self.0.lock().await;
        *calls += 1;
        let takes = if *calls == 1_000 { 1_000 } else { 1 };
        sleep_until(Instant::now() + Duration::from_millis(takes)).await;
        Ok(data)
    }
}

/// What is measured in ten seconds.
async fn measured(rate: Option<f64>) -> Part {
    let workload = Workload {
        rate,
        arrivals: Arrivals::Constant,
        amount: Amount::Time {
            warm_up: 0.0,
            measured: 10.0,
        },
        ..Workload::new(Transport::Ipc, Flavor::CurrentThread)
    };
    let meter = Arc::new(Meter::new(&workload, 1, now()));
    let calls = echo(Stalls::default(), meter.caller());
    tokio::join!(calls, meter.release_by_driven_clock());
    let mut part = Part::default();
    meter.take(&mut part, &mut Part::default());
    part
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_sees_a_stall_once() {
    let part = measured(None).await;
    assert_eq!((part.calls, part.failures()), (9_001, 0));
    assert!(part.quantile_us(0.999) < 2_000.0, "the stall hides");
    assert!(part.quantile_us(1.0) >= 1_000_000.0);
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_sees_a_stall_in_every_call_that_was_due() {
    let part = measured(Some(500.0)).await;
    // Every 2 ms for 10 s, the first after 2 ms.
    assert_eq!((part.calls, part.failures()), (4_999, 0));
    // The stall of 1 s keeps 500 calls waiting, and as many more until they are caught up.
    assert!(part.quantile_us(0.79) < 2_000.0);
    assert!(part.quantile_us(0.85) > 100_000.0);
    assert!(part.quantile_us(0.99) > 900_000.0);
}
