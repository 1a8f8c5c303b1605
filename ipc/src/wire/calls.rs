//! Open calls: allot, find, retire.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use slab::Slab;

use super::call::{CallId, Key, Role, State};
use super::receive::ReceiveHalf;
use super::send::SendHalf;

/// One call as this side sees it, with what its owner keeps beside it.
#[derive(Debug)]
pub(crate) struct Call<T> {
    pub(crate) id: CallId,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) one_way: bool,
    /// The owner has let go; the entry goes when the call is done.
    pub(crate) orphan: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
    pub(crate) user: T,
}

impl<T> Call<T> {
    /// The deadline, while the call is open.
    fn expires(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.state != State::Done)
    }
}

/// The calls of one connection: found by id while they are open, by key until released.
#[derive(Debug)]
pub(crate) struct Calls<T> {
    entries: Slab<Call<T>>,
    open: Open,
    ours: u32,
    theirs: u32,
    /// Open calls with a deadline.
    timed: u32,
    /// The soonest of their deadlines; may be early, never late.
    soonest: Option<Instant>,
    /// How far the entries were searched for deadlines that have passed.
    swept: usize,
}

impl<T> Calls<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
            open: Open::default(),
            ours: 0,
            theirs: 0,
            timed: 0,
            soonest: None,
            swept: 0,
        }
    }

    /// Takes in a new call.
    pub(crate) fn insert(&mut self, call: Call<T>) -> Key {
        let (id, role) = (call.id, call.role);
        if let Some(deadline) = call.deadline {
            self.time(deadline);
        }
        let key = Key(self.entries.insert(call));
        self.open.insert(id, key);
        let count = self.count_mut(role);
        *count = count.saturating_add(1);
        key
    }

    /// The key of an open call.
    pub(crate) fn find(&self, id: CallId) -> Option<Key> {
        self.open.find(id)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Call<T>> {
        self.entries.get(key.0)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Call<T>> {
        self.entries.get_mut(key.0)
    }

    /// Marks a call as done: its id means nothing any more; the entry goes once
    /// its owner has let go as well.
    pub(crate) fn retire(&mut self, key: Key) {
        let Some(call) = self.entries.get_mut(key.0) else {
            return;
        };
        call.state = State::Done;
        call.send.clear();
        let (id, role, orphan) = (call.id, call.role, call.orphan);
        let timed = call.deadline.is_some();
        if self.open.remove(id) {
            let count = self.count_mut(role);
            *count = count.saturating_sub(1);
            if timed {
                self.untime();
            }
        }
        if orphan {
            self.entries.try_remove(key.0);
        }
    }

    /// The owner lets go of an entry; an open call stays until it is done.
    pub(crate) fn release(&mut self, key: Key) {
        let Some(call) = self.entries.get_mut(key.0) else {
            return;
        };
        call.orphan = true;
        if call.state == State::Done {
            self.entries.try_remove(key.0);
        }
    }

    /// Takes the deadline of an open call that has passed it, and says whether the call's owner
    /// still holds on to it.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<(Key, bool)> {
        if self.soonest.is_none_or(|soonest| soonest > now) {
            self.swept = 0;
            return None;
        }
        let passed = |call: &Call<T>| call.expires().is_some_and(|at| at <= now);
        let mut rest = self.swept..self.entries.capacity();
        let expired = rest.find(|at| self.entries.get(*at).is_some_and(passed));
        let Some((key, call)) = expired.and_then(|at| Some((at, self.entries.get_mut(at)?))) else {
            self.swept = 0;
            self.soonest = self.iter().filter_map(|(_, call)| call.expires()).min();
            return None;
        };
        self.swept = key.saturating_add(1);
        call.deadline = None;
        let owned = !call.orphan;
        self.untime();
        Some((Key(key), owned))
    }

    /// Ends an open call at this time at the latest.
    pub(crate) fn expire_by(&mut self, key: Key, at: Instant) {
        let Some(call) = self.entries.get_mut(key.0) else {
            return;
        };
        if call.state == State::Done || call.deadline.is_some_and(|deadline| deadline <= at) {
            return;
        }
        if call.deadline.replace(at).is_some() {
            self.untime();
        }
        self.time(at);
    }

    /// The soonest deadline of an open call; may be early, never late.
    pub(crate) const fn soonest(&self) -> Option<Instant> {
        self.soonest
    }

    /// An open call has got a deadline.
    fn time(&mut self, deadline: Instant) {
        self.timed = self.timed.saturating_add(1);
        let soonest = self.soonest.map_or(deadline, |other| other.min(deadline));
        self.soonest = Some(soonest);
    }

    /// An open call has lost its deadline.
    fn untime(&mut self) {
        self.timed = self.timed.saturating_sub(1);
        if self.timed == 0 {
            self.soonest = None;
        }
    }

    /// Calls of this role that are open.
    pub(crate) fn open(&self, role: Role) -> u32 {
        match role {
            Role::Caller => self.ours,
            Role::Callee => self.theirs,
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Call<T>)> {
        self.entries.iter_mut().map(|(key, call)| (Key(key), call))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Call<T>)> {
        self.entries.iter().map(|(key, call)| (Key(key), call))
    }

    fn count_mut(&mut self, role: Role) -> &mut u32 {
        match role {
            Role::Caller => &mut self.ours,
            Role::Callee => &mut self.theirs,
        }
    }
}

/// The keys of open calls by their ids. The newest stands apart: a call that is alone, as most
/// are, never enters the table.
#[derive(Debug, Default)]
struct Open {
    newest: Option<(CallId, Key)>,
    others: HashMap<CallId, Key, BuildHasherDefault<IdHasher>>,
}

impl Open {
    fn insert(&mut self, id: CallId, key: Key) {
        if let Some((id, key)) = self.newest.replace((id, key)) {
            self.others.insert(id, key);
        }
    }

    fn find(&self, id: CallId) -> Option<Key> {
        match self.newest {
            Some((newest, key)) if newest == id => Some(key),
            _ => self.others.get(&id).copied(),
        }
    }

    /// Whether the call was open.
    fn remove(&mut self, id: CallId) -> bool {
        let newest = self.newest.take_if(|(newest, _)| *newest == id);
        newest.is_some() || self.others.remove(&id).is_some()
    }
}

/// Spreads call ids with one multiplication. A peer that picks colliding ids
/// only slows its own table, which `max_calls` bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio (Knuth, TAOCP 3, 6.4).
        self.0 = (self.0 ^ u64::from(id))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
