//! Looking at the socket for a while before the task sleeps.
//!
//! Where the peer runs on another core and answers soon, not sleeping is faster than being woken,
//! and cheaper. It pays only for a connection that has its thread to itself, and only while the
//! answers do come soon, so both are watched.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Whether and how long one connection looks before it sleeps.
#[derive(Debug)]
pub(super) struct BusyPoll {
    limit: Duration,
    /// Reads since this thread has last read for another connection.
    streak: u32,
    /// Sleeps still to come without a look.
    skip: u32,
    /// How many to skip after the next look in vain.
    penalty: u32,
    /// The others have had their turn since the task wanted to sleep.
    pub(super) yielded: bool,
}

thread_local! {
    /// The connection that this thread has read for last.
    static LAST: Cell<*const BusyPoll> = const { Cell::new(std::ptr::null()) };
}

impl BusyPoll {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.busy_poll.unwrap_or_default().min(LONGEST),
            streak: 0,
            skip: 0,
            penalty: 1,
            yielded: false,
        }
    }

    /// Input has come: who waits for it goes first again.
    pub(super) fn fed(&mut self) {
        self.yielded = false;
        if self.limit.is_zero() {
            return;
        }
        let this = std::ptr::from_ref(self);
        let alone = LAST.replace(this) == this;
        self.streak = if alone {
            self.streak.saturating_add(1)
        } else {
            0
        };
    }

    /// Whether to look before this sleep.
    pub(super) fn pays(&mut self) -> bool {
        if self.limit.is_zero() || self.streak < ALONE || LAST.get() != std::ptr::from_ref(self) {
            return false;
        }
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due
    }

    /// When a look that begins now has lasted long enough, and how often to look until then at
    /// most, should the clock stand still.
    pub(super) fn bounds(&self, now: Instant) -> (Instant, u128) {
        (now + self.limit, self.limit.as_nanos() / FASTEST)
    }

    /// Learns from a look.
    pub(super) fn learn(&mut self, found: bool) {
        if found {
            self.penalty = (self.penalty / 2).max(1);
        } else {
            self.skip = self.penalty;
            self.penalty = self.penalty.saturating_mul(4).min(MOST_SKIPPED);
        }
    }
}

/// Reads in a row after which a connection counts as alone on its thread.
const ALONE: u32 = 8;
/// The most sleeps without a look after looks in vain: where it does not pay, one in so many
/// calls is late.
const MOST_SKIPPED: u32 = 4_096;
/// The longest look: nothing else runs on its thread meanwhile.
const LONGEST: Duration = Duration::from_millis(1);
/// Nanoseconds that a read of an empty socket takes at least.
const FASTEST: u128 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn polling() -> BusyPoll {
        BusyPoll::new(&Limits {
            busy_poll: Some(Duration::from_micros(20)),
            ..Limits::default()
        })
    }

    fn feed(busy: &mut BusyPoll) {
        for _ in 0..=ALONE {
            busy.fed();
        }
    }

    #[test]
    fn nothing_is_looked_for_unless_it_is_asked_for() {
        let mut busy = BusyPoll::new(&Limits::default());
        feed(&mut busy);
        assert!(!busy.pays());
    }

    #[test]
    fn only_a_connection_that_is_alone_on_its_thread_looks() {
        let (mut one, mut other) = (polling(), polling());
        feed(&mut one);
        assert!(one.pays());
        for _ in 0..100 {
            one.fed();
            other.fed();
            assert!(!one.pays() && !other.pays());
        }
        feed(&mut other);
        assert!(other.pays());
        std::thread::scope(|scope| {
            scope.spawn(|| feed(&mut one));
        });
        other.fed();
        assert!(other.pays(), "another thread is no neighbour");
    }

    #[test]
    fn looks_become_rare_while_they_are_in_vain_and_frequent_when_they_pay() {
        let mut busy = polling();
        feed(&mut busy);
        let mut looks = 0;
        for _ in 0..100_000 {
            if busy.pays() {
                looks += 1;
                busy.learn(false);
            }
        }
        assert!((20..50).contains(&looks), "{looks}");
        while !busy.pays() {}
        for _ in 0..20 {
            busy.learn(true);
            assert!(busy.pays());
        }
        busy.learn(false);
        assert!(!busy.pays());
        assert!(busy.pays(), "one miss after many hits costs one sleep");
    }
}
