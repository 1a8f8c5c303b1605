//! Whose turn it is to get credit for a message that is larger than its window.

use std::collections::VecDeque;

use super::call::Key;

/// Calls whose unfinished message is given credit beyond the window: a few at a time, so
/// that a peer that begins many large messages cannot make us hold them all.
#[derive(Debug)]
pub(crate) struct Assembly {
    limit: usize,
    active: Vec<Key>,
    waiting: VecDeque<Key>,
}

impl Assembly {
    /// Lets `limit` messages grow at once, and never fewer than one.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX).max(1),
            active: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether one more message may grow, and no other waits for that.
    pub(crate) fn has_room(&self) -> bool {
        self.active.len() < self.limit && self.waiting.is_empty()
    }

    /// Whether the message of this call may grow now; if not, it stands in line.
    pub(crate) fn enter(&mut self, key: Key) -> bool {
        if self.active.contains(&key) {
            return true;
        }
        if self.active.len() < self.limit {
            self.active.push(key);
            return true;
        }
        if !self.waiting.contains(&key) {
            self.waiting.push_back(key);
        }
        false
    }

    /// The message is complete, or its call over; returns whose turn it is then.
    #[inline]
    pub(crate) fn leave(&mut self, key: Key) -> Option<Key> {
        // Nobody waits while nobody grows.
        if self.active.is_empty() {
            return None;
        }
        self.waiting.retain(|waiting| *waiting != key);
        let active = self.active.len();
        self.active.retain(|active| *active != key);
        if self.active.len() == active {
            return None;
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_limit_grow_in_their_turn() {
        let mut assembly = Assembly::new(2);
        let [one, two, three, four] = [Key(1), Key(2), Key(3), Key(4)];
        assert!(assembly.enter(one) && assembly.enter(two) && assembly.enter(one));
        assert!(!assembly.enter(three) && !assembly.enter(four) && !assembly.enter(three));
        assert_eq!(assembly.leave(three), None);
        assert_eq!(assembly.leave(one), Some(four));
        assert_eq!(assembly.leave(two), None);
    }
}
