//! Two engines back to back, with pipes that split and a clock that is told, and one side alone with
//! any bytes: the drivers for fuzzing, proptest and simulation.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken promise must stop the run"
)]

mod check;
mod op;
mod peer;
mod stream;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::BufMut;

use super::Open;
use super::call::{Role, Side};
use super::handshake::Established;
use super::messages::{CallHead, End, Entry, PeerLimits};
use super::violation::Violation;
use crate::limits::Limits;
pub(crate) use op::{Op, Opening};
use peer::{Peer, encoded, message};
pub(crate) use stream::{decode, shake};

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Calls opened, by either side.
    pub(crate) opened: u32,
    /// Calls whose caller saw their end.
    pub(crate) completed: u32,
    /// Messages that arrived, whole and in order.
    pub(crate) messages: u32,
    /// What closed the connection.
    pub(crate) violation: Option<Violation>,
}

/// Runs the operations, on a clock that starts at `base`, and checks after each that the engines kept their promises.
///
/// # Panics
///
/// Where they did not.
pub(crate) fn run(ops: &[Op], base: Instant) -> Outcome {
    let mut model = Model::new(base);
    for op in ops {
        if let Err(violation) = model.apply(op) {
            let honest = !model.hostile && violation != Violation::FrameTimeout;
            assert!(
                !honest,
                "an honest peer was accused of {violation:?} at {op:?}"
            );
            model.check_bounds();
            return model.outcome(Some(violation));
        }
        model.check_bounds();
    }
    if model.hostile {
        return model.outcome(None);
    }
    model.settle();
    model.outcome(None)
}

/// The pair and what is on its way between them.
#[derive(Debug)]
struct Model {
    now: Instant,
    /// Bytes were injected: only promises towards any peer are left.
    hostile: bool,
    connecting: Peer,
    accepting: Peer,
}

impl Model {
    fn new(base: Instant) -> Self {
        let connecting = Limits {
            max_frame: 1_024,
            max_message: 8_192,
            max_calls: 3,
            initial_credit: 1_024,
            max_metadata: 40,
            ..Limits::default()
        };
        let accepting = Limits {
            max_frame: 2_048,
            max_message: 4_096,
            max_calls: 2,
            initial_credit: 3_000,
            ..connecting
        };
        Self {
            now: base,
            hostile: false,
            connecting: Peer::new(Side::Connecting, &connecting, &established(&accepting)),
            accepting: Peer::new(Side::Accepting, &accepting, &established(&connecting)),
        }
    }

    /// One side, and the other.
    fn sides(&mut self, side: Side) -> (&mut Peer, &mut Peer) {
        match side {
            Side::Connecting => (&mut self.connecting, &mut self.accepting),
            Side::Accepting => (&mut self.accepting, &mut self.connecting),
        }
    }

    fn apply(&mut self, op: &Op) -> Result<(), Violation> {
        let now = self.now;
        match *op {
            Op::Open(side, opening) => self.open(side, opening),
            Op::Send(side, pick, size, end) => {
                let (peer, other) = self.sides(side);
                if let Some(key) = peer.pick(pick) {
                    peer.send(other, key, size.into(), end);
                }
            }
            Op::End(side, pick, code) => {
                self.with(side, pick, |peer, key| peer.end(key, code.into()));
            }
            Op::Fail(side, pick) => self.with(side, pick, Peer::fail),
            Op::Cancel(side, pick) => self.with(side, pick, |peer, key| peer.cancel(key, 1)),
            Op::Release(side, pick) => self.with(side, pick, Peer::let_go),
            Op::Consume(side, pick) => {
                let (peer, _) = self.sides(side);
                if let Some(key) = peer.pick(pick) {
                    peer.consume(key)?;
                }
            }
            Op::Ping(side) => self.sides(side).0.engine.ping(7),
            Op::GoAway(side, code) => {
                // Behind any code but 0 that side is silent, and its calls hang.
                let code = u32::from(code > 127);
                self.hostile |= code != 0;
                self.sides(side).0.engine.go_away(code, "model");
            }
            Op::Advance(millis) => self.advance(millis)?,
            Op::Pump(side, turns) => self.pump(side, turns),
            Op::Deliver(side, bytes) => {
                let hostile = self.hostile;
                self.sides(side).0.deliver(bytes.into(), now, hostile)?;
            }
            Op::Inject(side, ref bytes) => {
                self.hostile = true;
                self.sides(side).0.arriving.put_slice(bytes);
            }
        }
        self.connecting.tidy();
        self.accepting.tidy();
        Ok(())
    }

    fn with(&mut self, side: Side, pick: u8, act: impl FnOnce(&mut Peer, super::Key)) {
        let (peer, _) = self.sides(side);
        if let Some(key) = peer.pick(pick) {
            act(peer, key);
        }
    }

    fn open(&mut self, side: Side, opening: Opening) {
        let deadline = opening
            .deadline
            .map(|millis| Duration::from_millis(millis.into()));
        let at = deadline.and_then(|left| self.now.checked_add(left));
        let (peer, other) = self.sides(side);
        let size = opening.body.map(usize::from);
        let Some(id) = peer.engine.next_id else {
            return;
        };
        let body = size.map(|size| encoded(message(id, Role::Caller, 0, size)));
        let key = if opening.bad_metadata {
            "Bad Key"
        } else {
            "key"
        };
        let entry = Entry {
            key: key.into(),
            ..Entry::default()
        };
        let open = Open {
            head: CallHead {
                method: 1,
                time_left: deadline.and_then(|left| u64::try_from(left.as_micros()).ok()),
                metadata: opening.metadata.then_some(entry).into_iter().collect(),
                body: None,
            },
            body,
            end: opening.end,
            one_way: opening.one_way,
            deadline: at,
        };
        if let Ok(key) = peer.engine.open(open) {
            peer.opened(other, key, id, opening);
        }
    }

    /// Lets time pass; owners act on what has expired, as the connection does.
    fn advance(&mut self, millis: u16) -> Result<(), Violation> {
        let step = Duration::from_millis(millis.into());
        self.now = self.now.checked_add(step).unwrap_or(self.now);
        let now = self.now;
        for side in [Side::Connecting, Side::Accepting] {
            let (peer, other) = self.sides(side);
            peer.expire(other, now);
            peer.engine.handle_timeout(now, false)?;
        }
        Ok(())
    }

    /// Writes to the pipe, as long as it takes anything.
    fn pump(&mut self, side: Side, turns: u8) {
        let (peer, other) = self.sides(side);
        for _ in 0..turns {
            if other.arriving.len() > PIPE || !peer.write(other, WRITE) {
                return;
            }
        }
    }

    fn outcome(&self, violation: Option<Violation>) -> Outcome {
        let sum = |field: fn(&Peer) -> u32| {
            field(&self.connecting).saturating_add(field(&self.accepting))
        };
        Outcome {
            opened: sum(|peer| peer.opened),
            completed: sum(|peer| peer.completed),
            messages: sum(|peer| peer.messages),
            violation,
        }
    }
}

fn established(limits: &Limits) -> Established {
    Established {
        limits: PeerLimits::from(limits),
        ..Established::default()
    }
}

fn failed(code: u32) -> End {
    End::failed(code, "model")
}

/// Bytes that a pipe takes before its writer has to wait.
const PIPE: usize = 16_384;
/// Bytes that it takes at once: less than many frames.
const WRITE: usize = 100;
