//! One call's life: one total match.

use std::num::NonZeroU32;

use super::violation::Violation;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that connected; its call ids are odd.
    Connecting,
    /// The side that accepted; its call ids are even.
    Accepting,
}

impl Side {
    /// The first call id of this side.
    #[must_use]
    pub const fn first_id(self) -> u32 {
        match self {
            Self::Connecting => 1,
            Self::Accepting => 2,
        }
    }

    /// The side whose call this is.
    #[must_use]
    pub const fn of(id: CallId) -> Self {
        if id.get() & 1 == 1 {
            Self::Connecting
        } else {
            Self::Accepting
        }
    }
}

/// Names one call on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(NonZeroU32);

impl CallId {
    /// The id for a header field; `None` for 0, the connection itself.
    #[must_use]
    pub const fn parse(raw: u32) -> Option<Self> {
        match NonZeroU32::new(raw) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// Where a call's state is kept, from its opening until its owner lets go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(crate) usize);

/// Our part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We opened it.
    Caller,
    /// The peer opened it.
    Callee,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Both directions are open.
    Open,
    /// We have ended our direction.
    WeEnded,
    /// The peer has ended its direction.
    PeerEnded,
    /// The call is over; what is still in flight for it is dropped.
    Done,
}

/// What happens to a call, seen from its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A MESSAGE that is not the last frame.
    Message,
    /// END, or a MESSAGE with the END flag.
    End,
    /// CANCEL.
    Cancel,
    /// CREDIT.
    Credit,
}

impl State {
    /// What one frame from the peer does to this call.
    pub(crate) const fn on_frame(self, role: Role, input: Input) -> Result<Self, Violation> {
        use Input::{Cancel, Credit, End, Message};
        use Role::{Callee, Caller};
        Ok(match (role, self, input) {
            // Whatever was in flight when the call ended is dropped by rule.
            (_, Self::Done, _) => Self::Done,
            (_, _, Credit) => self,
            // The called side ends the call for both directions.
            (Caller, Self::Open | Self::WeEnded, Message) => self,
            (Caller, Self::Open | Self::WeEnded, End) => Self::Done,
            (Callee, Self::Open, Message) => self,
            (Callee, Self::Open, End) => Self::PeerEnded,
            (Callee, Self::Open | Self::PeerEnded | Self::WeEnded, Cancel) => Self::Done,
            // Only the side that opened a call may cancel it.
            (Caller, _, Cancel) => return Err(Violation::UnexpectedFrame),
            (Callee, Self::PeerEnded | Self::WeEnded, Message | End)
            | (Caller, Self::PeerEnded, Message | End) => return Err(Violation::AfterEnd),
        })
    }

    /// What our own end does to this call.
    pub(crate) const fn on_our_end(self, role: Role) -> Self {
        match (role, self) {
            (Role::Caller, Self::Open | Self::WeEnded) => Self::WeEnded,
            (Role::Callee, _) | (Role::Caller, Self::PeerEnded | Self::Done) => Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every role, state and input; PROTOCOL.md prints the same table.
    const TABLE: &str = "\
Caller Open Message -> Open
Caller Open End -> Done
Caller Open Cancel -> UnexpectedFrame
Caller Open Credit -> Open
Caller WeEnded Message -> WeEnded
Caller WeEnded End -> Done
Caller WeEnded Cancel -> UnexpectedFrame
Caller WeEnded Credit -> WeEnded
Caller Done Message -> Done
Caller Done End -> Done
Caller Done Cancel -> Done
Caller Done Credit -> Done
Callee Open Message -> Open
Callee Open End -> PeerEnded
Callee Open Cancel -> Done
Callee Open Credit -> Open
Callee PeerEnded Message -> AfterEnd
Callee PeerEnded End -> AfterEnd
Callee PeerEnded Cancel -> Done
Callee PeerEnded Credit -> PeerEnded
Callee Done Message -> Done
Callee Done End -> Done
Callee Done Cancel -> Done
Callee Done Credit -> Done
";

    #[test]
    fn the_state_table_is_the_published_one() {
        use std::fmt::Write as _;
        let mut table = String::new();
        let rows = [
            (Role::Caller, State::Open),
            (Role::Caller, State::WeEnded),
            (Role::Caller, State::Done),
            (Role::Callee, State::Open),
            (Role::Callee, State::PeerEnded),
            (Role::Callee, State::Done),
        ];
        let inputs = [Input::Message, Input::End, Input::Cancel, Input::Credit];
        for ((role, state), input) in rows
            .iter()
            .flat_map(|row| inputs.map(|input| (*row, input)))
        {
            let next = state.on_frame(role, input);
            let next = next.map_or_else(|v| format!("{v:?}"), |s| format!("{s:?}"));
            writeln!(table, "{role:?} {state:?} {input:?} -> {next}").unwrap();
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn ids_are_odd_for_the_connecting_side() {
        assert_eq!(CallId::parse(0), None);
        assert_eq!(Side::of(CallId::parse(1).unwrap()), Side::Connecting);
        assert_eq!(Side::of(CallId::parse(2).unwrap()), Side::Accepting);
    }
}
