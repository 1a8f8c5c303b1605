//! Which report ids have been seen, in bounded memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The latest report ids of each user, so that a repeat is known as one.
#[derive(Debug)]
pub struct Recent {
    users: BTreeMap<u32, Ids>,
    ids_per_user: usize,
}

#[derive(Debug, Default)]
struct Ids {
    known: BTreeSet<String>,
    /// The same ids, the oldest first.
    order: VecDeque<String>,
}

impl Recent {
    /// Remembers this many ids of each user.
    #[must_use]
    pub fn new(ids_per_user: usize) -> Self {
        Self {
            users: BTreeMap::new(),
            ids_per_user: ids_per_user.max(1),
        }
    }

    /// Takes in an id; whether it is new.
    ///
    /// Users do not share memory: one that reports a lot makes only its own ids forgotten.
    pub fn insert(&mut self, uid: u32, id: &str) -> bool {
        let ids = self.users.entry(uid).or_default();
        if ids.known.contains(id) {
            return false;
        }
        if ids.order.len() == self.ids_per_user
            && let Some(oldest) = ids.order.pop_front()
        {
            ids.known.remove(&oldest);
        }
        ids.known.insert(id.to_owned());
        ids.order.push_back(id.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_for_each_user() {
        let mut recent = Recent::new(10);
        assert!(recent.insert(501, "a"));
        assert!(!recent.insert(501, "a"));
        assert!(recent.insert(502, "a"));
    }

    #[test]
    fn the_oldest_id_of_the_same_user_is_forgotten_first() {
        let mut recent = Recent::new(2);
        recent.insert(502, "a");
        for id in ["a", "b", "c"] {
            assert!(recent.insert(501, id));
        }
        assert!(!recent.insert(501, "b"));
        assert!(!recent.insert(501, "c"));
        assert!(recent.insert(501, "a"));
        assert!(!recent.insert(502, "a"));
        assert_eq!(recent.users[&501].known.len(), 2);
    }
}
