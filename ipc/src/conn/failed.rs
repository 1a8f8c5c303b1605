//! What the caller is told of a call that could not be opened, or not go on.

use super::slot::going_away;
use super::{Core, Ending};
use crate::error::{Failure, Outcome};
use crate::status::Status;
use crate::wire::{Key, OpenError, SendError};

/// What a call that could not be opened failed with.
pub(crate) fn not_opened(error: OpenError) -> Failure {
    let status = match error {
        OpenError::TooMany | OpenError::TooLarge { .. } => {
            Status::resource_exhausted(error.to_string())
        }
        OpenError::Metadata(fault) => fault.into(),
        OpenError::GoingAway => return Failure::lost(&going_away(), Outcome::NotSent),
    };
    Failure::new(status, Outcome::NotSent)
}

/// What a message that could not be sent failed with. Its call was sent before, and so may have run
/// whatever becomes of this message.
pub(crate) fn unsent(core: &mut Core, key: Key, error: SendError) -> Failure {
    let ending = core
        .engine
        .user_mut(key)
        .and_then(|slot| slot.ending.clone());
    let status = match (ending.map(Ending::into_result), &core.over, error) {
        (Some(Err(failure)), ..) => return failure,
        // A success is no reason to fail, but there is nobody left to send to.
        (_, Some(reason), _) => return Failure::lost(reason, Outcome::MayHaveRun),
        (.., SendError::TooLarge { .. }) => Status::resource_exhausted(error.to_string()),
        (.., SendError::Done) => Status::cancelled("the call is over"),
    };
    Failure::new(status, Outcome::MayHaveRun)
}
