//! What the peer did, applied to the calls it concerns.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::core::Core;
use super::slot::Ending;
use super::wakes::Wakes;
use crate::error::ConnectionError;
use crate::metadata::Metadata;
use crate::pool::Pool;
use crate::status::Code;
use crate::sync::Arc;
use crate::wire::messages::{End, GoAway};
use crate::wire::{CallId, Event, Key, Role, Violation};

/// A call of the peer that is to be run.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) key: Key,
    pub(crate) id: CallId,
    pub(crate) method: u32,
    pub(crate) metadata: Metadata,
    /// What came with the CALL frame.
    pub(crate) body: Option<Bytes>,
    /// That was all.
    pub(crate) end: bool,
    pub(crate) deadline: Option<Instant>,
}

/// Applies what has arrived until it is a call, which is run without the lock.
pub(crate) fn take(
    core: &mut Core,
    input: &mut BytesMut,
    pool: &Arc<Pool>,
    now: Instant,
    wakes: &mut Wakes,
) -> Result<Option<Arrived>, ConnectionError> {
    while let Some(event) = core.engine.handle_input(input, now)? {
        match event {
            Event::Call { key, head, end, .. } => {
                let Some(id) = core.engine.id(key) else {
                    continue;
                };
                let deadline = core.engine.deadline(key);
                if end && let Some(slot) = core.engine.user_mut(key) {
                    slot.end_half(wakes);
                }
                return Ok(Some(Arrived {
                    key,
                    id,
                    method: head.method,
                    metadata: Metadata::from_entries(head.metadata),
                    body: head.body,
                    end,
                    deadline,
                }));
            }
            Event::Message {
                key,
                mut whole,
                end,
            } => {
                must_have_left(core, key)?;
                whole.bytes = pool.adopt(whole.bytes);
                let Some(slot) = core.engine.user_mut(key) else {
                    continue;
                };
                slot.push(whole);
                wakes.add(slot.reader.take());
                if end {
                    end_direction(core, key, End::default(), wakes);
                }
            }
            Event::End { key, end } => {
                must_have_left(core, key)?;
                end_direction(core, key, end, wakes);
            }
            Event::Cancelled { key } => {
                if let Some(slot) = core.engine.user_mut(key) {
                    slot.stop(wakes);
                }
                finish(core, key, Ending::Cancelled, wakes);
            }
            Event::Pong(_) => {}
            // What does not fit now is told when the socket has room.
            Event::Backlog => _ = core.flush_some(wakes),
            Event::GoAway(away) => go_away(core, away, wakes)?,
        }
    }
    Ok(None)
}

/// A peer that answers what it cannot have read would free the permit of a call that still waits.
fn must_have_left(core: &Core, key: Key) -> Result<(), Violation> {
    let ours = core.engine.role(key) == Some(Role::Caller);
    if ours && !core.has_left(key) {
        return Err(Violation::UnknownCall);
    }
    Ok(())
}

/// The peer has sent all it will: the called side's end is that of the call.
fn end_direction(core: &mut Core, key: Key, end: End, wakes: &mut Wakes) {
    let ours = core.engine.role(key) == Some(Role::Caller);
    let Some(slot) = core.engine.user_mut(key) else {
        return;
    };
    if ours {
        slot.end(Ending::of(end), wakes);
    } else {
        slot.end_half(wakes);
    }
}

/// A call of the peer has its answer: whoever still reads what its caller sends, though its handler has
/// returned, gets what is here and no more.
pub(super) fn answered(core: &mut Core, key: Key, wakes: &mut Wakes) {
    if core.engine.role(key) == Some(Role::Callee)
        && let Some(slot) = core.engine.user_mut(key)
    {
        slot.close(wakes);
    }
}

fn finish(core: &mut Core, key: Key, ending: Ending, wakes: &mut Wakes) {
    if let Some(slot) = core.engine.user_mut(key) {
        slot.end(ending, wakes);
    }
}

/// Ends the calls that ran out of time: ours are taken back or cancelled at the peer, the peer's
/// are answered. All at once, because taking one back moves what waits behind it.
pub(crate) fn expire(core: &mut Core, now: Instant, wakes: &mut Wakes) {
    let expired = std::iter::from_fn(|| core.engine.poll_expired(now)).collect::<Vec<_>>();
    if expired.is_empty() {
        return;
    }
    core.withdraw(&expired);
    for key in expired {
        let left = !core.engine.is_done(key);
        if let Some(slot) = core.engine.user_mut(key) {
            slot.end(Ending::Expired(left), wakes);
            slot.stop(wakes);
        }
        let code = Code::DeadlineExceeded.to_u32();
        core.engine.cancel_or_fail(key, code, "deadline passed");
    }
}

/// The peer takes no more calls; those it has not seen end here.
fn go_away(core: &mut Core, away: GoAway, wakes: &mut Wakes) -> Result<(), ConnectionError> {
    let GoAway {
        code,
        message,
        last_call,
    } = away;
    // Any other code ends the connection, and those who wait are told which.
    if code == 0
        && let Some(slots) = &core.slots
    {
        wakes.close(slots);
    }
    let open = core
        .engine
        .users_mut()
        .filter(|(_, role, _)| *role == Role::Caller);
    let open = open.map(|(key, ..)| key).collect::<Vec<_>>();
    for key in open {
        if core.engine.id(key).is_some_and(|id| id.get() > last_call) {
            finish(core, key, Ending::Unseen, wakes);
            core.engine.cancel(key, 1);
        }
    }
    if code == 0 {
        Ok(())
    } else {
        Err(ConnectionError::GoneAway { code, message })
    }
}
