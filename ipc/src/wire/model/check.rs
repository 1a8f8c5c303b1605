//! The promises: some after each step, some when all is quiet.

use std::collections::BTreeSet;

use super::Model;
use super::peer::{Known, Peer};
use crate::wire::call::{Role, Side, State};
use crate::wire::calls::Call;
use crate::wire::credit::Window;
use crate::wire::header::HEADER_LEN;

impl Model {
    /// What holds after each step, whatever the peer is.
    pub(super) fn check_bounds(&self) {
        for peer in [&self.connecting, &self.accepting] {
            peer.check_bounds();
            peer.check_deadline();
        }
    }

    /// What holds once everything was delivered, read and ended; both sides are honest.
    pub(super) fn settle(&mut self) {
        self.quiesce();
        self.check_credit();
        for _ in 0..ROUNDS {
            self.connecting.finish();
            self.accepting.finish();
            self.quiesce();
            self.check_bounds();
            if self.connecting.calls.is_empty() && self.accepting.calls.is_empty() {
                break;
            }
        }
        for peer in [&self.connecting, &self.accepting] {
            assert!(peer.calls.is_empty(), "calls hang: {peer:?}");
            let kept = peer.engine.calls.iter().count();
            assert_eq!(kept, 0, "entries are left: {peer:?}");
            for role in [Role::Caller, Role::Callee] {
                assert_eq!(peer.engine.open_calls(role), 0);
            }
            assert_eq!(peer.opened, peer.completed, "each call completes once");
            assert!(peer.is_flushed(), "bytes are left: {peer:?}");
        }
    }

    /// Passes bytes until none are left to pass.
    fn quiesce(&mut self) {
        for _ in 0..ROUNDS {
            let mut moved = false;
            for side in [Side::Connecting, Side::Accepting] {
                self.pump(side, u8::MAX);
                let now = self.now;
                let (_, other) = self.sides(side);
                moved |= !other.arriving.is_empty();
                let taken = other.deliver(usize::MAX, now, false);
                assert_eq!(taken, Ok(()), "an honest peer was accused");
                other.tidy();
            }
            if !moved {
                return;
            }
        }
        panic!("the pair never falls silent");
    }

    /// With nothing on its way, both ends of a stream count the same credit, and a message
    /// that waits for credit waits for a reader.
    fn check_credit(&self) {
        let pairs = [
            (&self.connecting, &self.accepting),
            (&self.accepting, &self.connecting),
        ];
        for (sender, receiver) in pairs {
            let calls = sender.engine.calls.iter().map(|(_, call)| call);
            for call in calls.filter(|call| !call.orphan) {
                receiver.check_stream(call);
            }
        }
    }
}

impl Peer {
    /// Memory is bounded by the limits, and each count by what it counts.
    fn check_bounds(&self) {
        let engine = &self.engine;
        let limits = &engine.ours;
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let one = size(limits.initial_credit).saturating_add(size(limits.max_message));
        for (key, call) in engine.calls.iter() {
            let unread = self.calls.get(&key).map_or(0, Known::held);
            assert!(
                unread <= one.saturating_add(HEADER_LEN),
                "{unread} bytes are held"
            );
            assert!(call.receive.partial_len() <= size(limits.max_message));
            let window: Window = call.receive.window;
            assert!(window.outstanding() <= limits.initial_credit, "{window:?}");
            let listed = engine.out.ring.contains(&key);
            assert_eq!(listed, call.send.listed, "the ring and the call disagree");
            let waits = call.state != State::Done && call.send.ready();
            assert!(
                !waits || listed,
                "a call with credit is not in the ring: {call:?}"
            );
        }
        let ring: BTreeSet<_> = engine.out.ring.iter().collect();
        assert_eq!(
            ring.len(),
            engine.out.ring.len(),
            "a call is in the ring twice"
        );
        for key in ring {
            assert!(
                engine.calls.get(*key).is_some(),
                "a stale key is in the ring"
            );
        }
        let open = engine.open_calls(Role::Callee);
        let counted = open.saturating_add(engine.out.finals);
        assert!(counted <= limits.max_calls, "{counted} calls of the peer");
        assert!(engine.open_calls(Role::Caller) <= engine.theirs.max_calls);
        assert!(
            engine.out.control.len() <= MAX_CONTROL,
            "control bytes pile up"
        );
    }

    /// The receiving end of a stream of the other side agrees with its sending end.
    fn check_stream(&self, sending: &Call<()>) {
        let Some(key) = self.engine.calls.find(sending.id) else {
            return;
        };
        let Some(call) = self.engine.calls.get(key).filter(|call| !call.orphan) else {
            return;
        };
        let outstanding = call.receive.window.outstanding();
        assert_eq!(sending.send.allowance.left(), outstanding, "{sending:?}");
        let unread = self.calls.get(&key).map_or(0, |known| known.unread.len());
        let hangs = !sending.send.is_idle() && unread == 0;
        assert!(!hangs, "a stream hangs: {sending:?}");
    }

    /// The next deadline is never told too late.
    pub(super) fn check_deadline(&self) {
        let open = self.engine.calls.iter();
        let live = open.filter(|(_, call)| call.state != State::Done);
        if let Some(soonest) = live.filter_map(|(_, call)| call.deadline).min() {
            let told = self.engine.poll_deadline();
            assert!(told.is_some_and(|told| told <= soonest), "{told:?} is late");
        }
    }
}

/// Rounds after which a pair that still moves counts as hanging.
const ROUNDS: usize = 10_000;
/// The flood limit, and the frame that passes it.
const MAX_CONTROL: usize = 66_000;
