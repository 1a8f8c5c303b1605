//! Byte windows: what one side may send, and when the other gives more.

use super::header::HEADER_LEN;
use super::violation::Violation;

/// What a MESSAGE frame takes from the credit: header and payload, so that
/// empty messages are not free.
#[must_use]
pub(crate) fn cost(payload: usize) -> u32 {
    u32::try_from(payload.saturating_add(HEADER_LEN)).unwrap_or(u32::MAX)
}

/// The sender's half: bytes it may still send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance(u32);

impl Allowance {
    pub(crate) const fn new(initial: u32) -> Self {
        Self(initial)
    }

    /// Takes `cost`, if there is as much.
    pub(crate) fn take(&mut self, cost: u32) -> bool {
        self.0.checked_sub(cost).map(|left| self.0 = left).is_some()
    }

    /// What is left.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn left(self) -> u32 {
        self.0
    }

    /// Adds what the peer gave.
    pub(crate) fn give(&mut self, bytes: u32) -> Result<(), Violation> {
        let sum = self.0.checked_add(bytes).filter(|_| bytes > 0);
        self.0 = sum.ok_or(Violation::BadCredit)?;
        Ok(())
    }

    /// The largest payload one frame may have now; `None` if not even a byte fits.
    pub(crate) fn room(self) -> Option<usize> {
        let left = usize::try_from(self.0).unwrap_or(usize::MAX);
        left.checked_sub(HEADER_LEN).filter(|room| *room > 0)
    }
}

/// The receiver's half: what it has let the peer send, and what is still held.
///
/// The aim is `window - held` bytes outstanding, where `held` counts complete messages
/// that nobody has taken yet. Chunks of an unfinished message are not held, so that
/// a message larger than the window can always complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    size: u32,
    outstanding: u32,
    held: u32,
}

impl Window {
    pub(crate) const fn new(size: u32) -> Self {
        Self {
            size,
            outstanding: size,
            held: 0,
        }
    }

    /// What the peer may still send.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Whether the peer may send as much.
    pub(crate) const fn allows(&self, cost: u32) -> bool {
        cost <= self.outstanding
    }

    /// Counts a frame that arrived.
    pub(crate) fn arrived(&mut self, cost: u32) -> Result<(), Violation> {
        let left = self.outstanding.checked_sub(cost);
        self.outstanding = left.ok_or(Violation::CreditOverrun)?;
        Ok(())
    }

    /// Counts a complete message that waits for its reader.
    pub(crate) fn hold(&mut self, cost: u32) {
        self.held = self.held.saturating_add(cost);
    }

    /// Whether complete messages wait for their reader.
    pub(crate) const fn is_held(&self) -> bool {
        self.held > 0
    }

    /// Counts a message that its reader took.
    pub(crate) fn release(&mut self, cost: u32) {
        self.held = self.held.saturating_sub(cost);
    }

    /// Whether credit is to be given now: not until half a window is free, so that credit
    /// frames stay rare.
    pub(crate) fn is_due(&self) -> bool {
        self.free() >= self.size.div_ceil(2).max(1)
    }

    /// Gives the credit that is free.
    pub(crate) fn give(&mut self) -> u32 {
        let free = self.free();
        self.outstanding = self.outstanding.saturating_add(free);
        free
    }

    fn free(&self) -> u32 {
        let aim = self.size.saturating_sub(self.held);
        aim.saturating_sub(self.outstanding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_never_overdrawn() {
        let mut credit = Allowance::new(100);
        assert!(credit.take(88));
        assert!(!credit.take(13));
        assert_eq!(credit.room(), None);
        credit.give(1).unwrap();
        assert_eq!(credit.room(), Some(1));
        assert_eq!(credit.give(0), Err(Violation::BadCredit));
        assert_eq!(credit.give(u32::MAX), Err(Violation::BadCredit));
    }

    #[test]
    fn an_unread_stream_gets_no_credit_and_a_read_one_does() {
        let mut window = Window::new(1_000);
        window.arrived(900).unwrap();
        window.hold(900);
        assert!(!window.is_due());
        assert_eq!(window.arrived(101), Err(Violation::CreditOverrun));
        window.release(900);
        assert!(window.is_due());
        assert_eq!(window.give(), 900);
        assert!(!window.is_due());
    }

    #[test]
    fn chunks_of_an_unfinished_message_are_given_back() {
        let mut window = Window::new(1_000);
        for _ in 0..100 {
            window.arrived(400).unwrap();
            window.arrived(400).unwrap();
            assert!(window.is_due());
            assert_eq!(window.give(), 800);
        }
    }
}
