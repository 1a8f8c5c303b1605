//! What the peer did, applied to the calls it concerns.

use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;
use tracing::trace;

use super::core::Core;
use super::now;
use super::slot::Ending;
use crate::error::ConnectionError;
use crate::pool::Pool;
use crate::status::Code;
use crate::sync::Arc;
use crate::wire::messages::{CallHead, End, GoAway};
use crate::wire::{CallId, Event, Key, Role};

/// A call of the peer that is to be run.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) key: Key,
    pub(crate) id: CallId,
    pub(crate) head: CallHead,
    /// The request is in the head, or there is none.
    pub(crate) end: bool,
    pub(crate) deadline: Option<Instant>,
}

/// Applies what has arrived until it is a call, which is run without the lock.
pub(crate) fn take(
    core: &mut Core,
    input: &mut BytesMut,
    pool: &Arc<Pool>,
    wakers: &mut Vec<Waker>,
) -> Result<Option<Arrived>, ConnectionError> {
    let now = now();
    while let Some(event) = core.engine.handle_input(input, now)? {
        match event {
            Event::Call { key, head, end, .. } => {
                let Some(id) = core.engine.id(key) else {
                    continue;
                };
                trace!(call.id = id.get(), method = head.method, "call");
                let deadline = core.engine.deadline(key);
                return Ok(Some(Arrived {
                    key,
                    id,
                    head,
                    end,
                    deadline,
                }));
            }
            Event::Message {
                key,
                mut whole,
                end,
            } => {
                whole.bytes = pool.adopt(whole.bytes);
                let Some(slot) = core.engine.user_mut(key) else {
                    continue;
                };
                slot.push(whole);
                if end {
                    slot.end(Ending::Peer(End::default()), wakers);
                }
                wakers.extend(slot.reader.take());
            }
            Event::End { key, end } => finish(core, key, Ending::Peer(end), wakers),
            Event::Cancelled { key } => {
                if let Some(slot) = core.engine.user_mut(key) {
                    slot.stop();
                }
                finish(core, key, Ending::Cancelled, wakers);
            }
            Event::Pong(_) => {}
            Event::GoAway(away) => go_away(core, away, wakers)?,
        }
    }
    Ok(None)
}

fn finish(core: &mut Core, key: Key, ending: Ending, wakers: &mut Vec<Waker>) {
    if let Some(slot) = core.engine.user_mut(key) {
        slot.end(ending, wakers);
    }
}

/// A call ran out of time: ours is cancelled at the peer, the peer's is answered.
pub(crate) fn expire(core: &mut Core, key: Key, wakers: &mut Vec<Waker>) {
    let code = Code::DeadlineExceeded.to_u32();
    let ours = core.engine.role(key) == Some(Role::Caller);
    let left = core.has_left(key);
    if let Some(slot) = core.engine.user_mut(key) {
        slot.end(Ending::Expired(left), wakers);
        slot.stop();
    }
    if ours {
        core.engine.cancel(key, code);
    } else {
        core.engine.fail(
            key,
            &End {
                code,
                message: "deadline passed".into(),
                ..End::default()
            },
        );
    }
}

/// The peer takes no more calls; those it has not seen end here.
fn go_away(core: &mut Core, away: GoAway, wakers: &mut Vec<Waker>) -> Result<(), ConnectionError> {
    let GoAway {
        code,
        message,
        last_call,
    } = away;
    let open = core
        .engine
        .users_mut()
        .filter(|(_, role, _)| *role == Role::Caller);
    let open = open.map(|(key, ..)| key).collect::<Vec<_>>();
    for key in open {
        if core.engine.id(key).is_some_and(|id| id.get() > last_call) {
            finish(core, key, Ending::Unseen, wakers);
            core.engine.cancel(key, 1);
        }
    }
    if code == 0 {
        Ok(())
    } else {
        Err(ConnectionError::GoneAway { code, message })
    }
}
