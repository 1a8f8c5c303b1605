//! Tokio's timer, driven by a clock that can be paused.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Wait;
use super::thread::Alarm;
use crate::clock::is_driven;

/// The timer that goes with the clock.
#[derive(Debug)]
pub(crate) enum Either {
    /// The one that ships.
    Thread(Alarm),
    /// Where a test has paused the clock.
    Wheel(Pin<Box<Sleep>>),
}

impl Wait for Either {
    fn start(wait: Duration) -> Self {
        if is_driven() {
            Self::Wheel(Box::pin(sleep_until(Instant::now() + wait)))
        } else {
            Self::Thread(Alarm::start(wait))
        }
    }

    fn restart(&mut self, wait: Duration) {
        match self {
            Self::Thread(alarm) => alarm.restart(wait),
            Self::Wheel(sleep) => sleep.as_mut().reset(Instant::now() + wait),
        }
    }
}

impl Future for Either {
    type Output = ();

    /// Outside of tokio's budget: a timer that is not polled for want of budget has no
    /// waker, and nobody would poll it again.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Self::Thread(alarm) => Pin::new(alarm).poll(cx),
            Self::Wheel(sleep) => Pin::new(&mut unconstrained(sleep.as_mut())).poll(cx),
        }
    }
}
