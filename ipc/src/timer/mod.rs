//! A timer outside of the runtime's wheel.
//!
//! While tokio has a timer, every `epoll_wait` carries a timeout, for which the kernel starts and
//! cancels a timer of its own, which a small call feels. Most deadlines are met before they
//! fire, so a connection keeps one timer, moves it rarely, and leaves the waiting to a thread.
//!
//! Only a test that has paused tokio's clock has tokio's timer, which that clock drives.

#[cfg(all(test, ipc_loom))]
mod loom_tests;
mod thread;
#[cfg(any(test, feature = "testing"))]
mod wheel;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::clock::now;

/// What a future comes to, if that is before this moment.
pub(crate) async fn before<T>(at: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut late = <Timer>::new(at);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Pin::new(&mut late).poll(cx).map(|()| None),
    })
    .await
}

/// What waits for a [`Timer`].
#[cfg(not(any(test, feature = "testing")))]
type Sleep = thread::Alarm;
#[cfg(any(test, feature = "testing"))]
type Sleep = wheel::Either;

/// Fires at a moment that can be moved.
#[derive(Debug)]
pub(crate) struct Timer<W = Sleep> {
    at: Instant,
    wait: W,
}

impl<W: Wait> Timer<W> {
    pub(crate) fn new(at: Instant) -> Self {
        let wait = W::start(at.saturating_duration_since(now()));
        Self { at, wait }
    }

    /// When it fires.
    pub(crate) const fn at(&self) -> Instant {
        self.at
    }

    /// Moves it, also if it has fired. It must be polled then.
    pub(crate) fn reset(&mut self, at: Instant) {
        self.at = at;
        self.wait.restart(at.saturating_duration_since(now()));
    }
}

impl<W: Wait> Future for Timer<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.wait).poll(cx)
    }
}

/// Waits for so long, and again once that is over.
pub(crate) trait Wait: Future<Output = ()> + Unpin {
    fn start(wait: Duration) -> Self;
    fn restart(&mut self, wait: Duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const FAR: Duration = Duration::from_secs(3_600);

    async fn fires_when_it_is_set_to<W: Wait>() {
        let begun = now();
        let mut timer = Timer::<W>::new(begun + FAR);
        timer.reset(begun + SOON);
        (&mut timer).await;
        assert!(now() >= begun + SOON);
        let again = now() + SOON;
        timer.reset(again);
        assert_eq!(timer.at(), again);
        (&mut timer).await;
        assert!(now() >= again);
    }

    #[tokio::test]
    async fn the_timer_of_the_thread_fires_when_it_is_set_to() {
        assert!(matches!(Sleep::start(FAR), Sleep::Thread(_)));
        fires_when_it_is_set_to::<Sleep>().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_of_a_paused_clock_fires_when_it_is_set_to() {
        assert!(matches!(Sleep::start(FAR), Sleep::Wheel(_)));
        fires_when_it_is_set_to::<Sleep>().await;
    }
}
