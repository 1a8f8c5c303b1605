//! One thread that waits for all deadlines of the process.
//!
//! It is woken only for a deadline that is sooner than the one it waits for. Most are later, and
//! most are met, so a connection that comes and goes does not cost a switch to it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tracing::error;

use super::Wait;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A moment that somebody waits for; it leaves the list when it has come.
#[derive(Debug)]
pub(crate) struct Alarm(Key);

/// When, and which of those at the same time.
pub(super) type Key = (Instant, u64);

static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::default);

/// Those who wait, and the thread that wakes them.
#[derive(Default)]
pub(super) struct Clock {
    waits: Mutex<Waits>,
    pub(super) sooner: Condvar,
}

#[derive(Default)]
pub(super) struct Waits {
    wakers: BTreeMap<Key, Option<Waker>>,
    last: u64,
    runs: bool,
    /// Until when the thread sleeps; `None` if nothing is to come.
    until: Option<Instant>,
}

impl Wait for Alarm {
    fn start(wait: Duration) -> Self {
        let (key, started) = CLOCK.set(in_time(wait), run);
        if let Err(error) = started {
            let error: &dyn std::error::Error = &error;
            error!(error, "no thread for deadlines, which do not end calls");
        }
        Self(key)
    }

    fn restart(&mut self, wait: Duration) {
        *self = Self::start(wait);
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        CLOCK.poll(self.0, cx.waker())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        CLOCK.forget(self.0);
    }
}

impl Clock {
    pub(super) fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a wait, which has no waker yet; has the thread started by `run` if there is none.
    pub(super) fn set(
        &self,
        at: Instant,
        run: impl FnOnce() -> io::Result<()>,
    ) -> (Key, io::Result<()>) {
        let mut waits = self.lock();
        let key = (at, waits.last);
        waits.last += 1;
        waits.wakers.insert(key, None);
        let started = if waits.runs { Ok(()) } else { run() };
        waits.runs = started.is_ok();
        if waits.until.is_none_or(|until| at < until) {
            waits.until = Some(at);
            self.sooner.notify_one();
        }
        (key, started)
    }

    /// Whether the time of a wait has come.
    pub(super) fn poll(&self, key: Key, waker: &Waker) -> Poll<()> {
        // Others' code, as a waker is, runs without the lock.
        let waker = waker.clone();
        let mut waits = self.lock();
        let Some(place) = waits.wakers.get_mut(&key) else {
            return Poll::Ready(());
        };
        let old = place.replace(waker);
        drop(waits);
        drop(old);
        Poll::Pending
    }

    pub(super) fn forget(&self, key: Key) {
        let waker = self.lock().wakers.remove(&key);
        drop(waker);
    }

    /// Wakes whoever's time has come, for ever.
    fn tick(&self) -> ! {
        let mut waits = self.lock();
        loop {
            waits = self.turn(waits, || in_time(Duration::ZERO));
        }
    }

    /// Wakes whoever's time has come; sleeps if there is nobody.
    pub(super) fn turn<'a>(
        &'a self,
        mut waits: MutexGuard<'a, Waits>,
        now: impl Fn() -> Instant,
    ) -> MutexGuard<'a, Waits> {
        let due = waits.take_due(now());
        if !due.is_empty() {
            drop(waits);
            due.into_iter().for_each(wake);
            return self.lock();
        }
        waits.until = waits.wakers.keys().next().map(|&(at, _)| at);
        match waits.until {
            None => self.sooner.wait(waits),
            Some(until) => {
                let left = until.saturating_duration_since(now());
                let slept = self.sooner.wait_timeout(waits, left);
                slept
                    .map(|(waits, _)| waits)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0))
            }
        }
        .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waits {
    fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.wakers.first_entry()
            && first.key().0 <= now
        {
            due.extend(first.remove());
        }
        due
    }
}

/// Starts the thread; if that fails, the next wait tries again.
fn run() -> io::Result<()> {
    let thread = thread::Builder::new().name("ipc-deadlines".into());
    thread.spawn(|| CLOCK.tick()).map(drop)
}

/// A waker that panics must not end the deadlines of all others.
fn wake(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        error!("a waker panicked");
    }
}

/// The moment after so much time: of the system's clock, whatever a runtime makes of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the thread sleeps by"
)]
fn in_time(wait: Duration) -> Instant {
    crate::clock::end_of(Instant::now(), wait)
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;
    use crate::sync::Arc;

    struct Bell(u64, mpsc::Sender<u64>);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.1.send(self.0).expect("the test listens");
        }
    }

    #[test]
    fn alarms_ring_when_it_is_their_time_and_leave_nothing_behind() {
        let (bell, rung) = mpsc::channel();
        let set = |millis| {
            let mut alarm = Alarm::start(Duration::from_millis(millis));
            let waker = Waker::from(Arc::new(Bell(millis, bell.clone())));
            let rings = Pin::new(&mut alarm).poll(&mut Context::from_waker(&waker));
            if rings.is_ready() {
                bell.send(millis).unwrap();
            }
            alarm
        };
        let [far, later, _near @ ..] = [3_600_000, 3_500_000, 60, 1, 30].map(set);
        let mut order = [(); 3].map(|()| rung.recv().unwrap());
        order.sort_unstable();
        assert_eq!(order, [1, 30, 60]);
        let listed = |key| CLOCK.lock().wakers.contains_key(&key);
        let keys = [far.0, later.0];
        drop(later);
        assert_eq!(keys.map(listed), [true, false]);
        assert!(rung.try_recv().is_err(), "an hour has not passed");
    }
}
