//! Every interleaving of the thread that waits for all deadlines and those who set them.
//!
//! Time stands still here, and loom's condition variable does not time out: a thread that sleeps is woken by
//! a sooner deadline or never, so a wake that is lost shows as a deadlock.

use std::future::poll_fn;
use std::task::Waker;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::thread::Clock;
use crate::clock::now;
use crate::conn::loom_tests::block_on;
use crate::sync::Arc;

const HOUR: Duration = Duration::from_secs(3_600);

/// Runs `waiters` beside the thread of a clock, for which it is always `now`.
fn model(waiters: impl Fn(&Arc<Clock>, Instant) + Send + Sync + 'static) {
    let now = now();
    loom::model(move || {
        let clock = Arc::new(Clock::default());
        let over = Arc::new(AtomicBool::new(false));
        let (ticking, ended) = (Arc::clone(&clock), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut waits = ticking.lock();
            while !ended.load(Ordering::Relaxed) {
                waits = ticking.turn(waits, || now);
            }
        });
        waiters(&clock, now);
        let waits = clock.lock();
        over.store(true, Ordering::Relaxed);
        clock.sooner.notify_one();
        drop(waits);
        assert!(thread.join().is_ok(), "the thread panicked");
    });
}

/// Waits until the clock says that it is time.
fn wait(clock: &Clock, at: Instant) {
    let (key, _) = clock.set(at, || Ok(()));
    block_on(poll_fn(|cx| clock.poll(key, cx.waker())));
}

#[test]
fn a_thread_that_sleeps_for_a_later_deadline_is_woken_for_a_sooner_one() {
    model(|clock, now| {
        let (later, _) = clock.set(now + HOUR, || Ok(()));
        wait(clock, now);
        assert!(clock.poll(later, Waker::noop()).is_pending());
        clock.forget(later);
    });
}

#[test]
fn deadlines_of_two_threads_are_both_told() {
    model(|clock, now| {
        let other = Arc::clone(clock);
        let other = thread::spawn(move || wait(&other, now));
        wait(clock, now);
        assert!(other.join().is_ok(), "the other thread panicked");
    });
}

#[test]
fn a_deadline_that_is_let_go_holds_up_none_that_is_set() {
    model(|clock, now| {
        let other = Arc::clone(clock);
        let other = thread::spawn(move || {
            let (key, _) = other.set(now + HOUR, || Ok(()));
            other.forget(key);
        });
        wait(clock, now);
        assert!(other.join().is_ok(), "the other thread panicked");
    });
}
