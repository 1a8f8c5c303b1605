//! What can happen to a pair of engines, and how bytes spell it.

use crate::wire::call::Side;

/// One step of a run. `pick` chooses among the calls that the side knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The side opens a call.
    Open(Side, Opening),
    /// The side sends a message of so many bytes, perhaps its last.
    Send(Side, u8, u16, bool),
    /// The side ends its direction, with a status if it was called.
    End(Side, u8, u8),
    /// The called side ends a call at once.
    Fail(Side, u8),
    /// The side gives a call of its own up.
    Cancel(Side, u8),
    /// The side reads a message.
    Consume(Side, u8),
    /// The side asks for a PONG.
    Ping(Side),
    /// The side goes away.
    GoAway(Side, u8),
    /// Milliseconds pass.
    Advance(u16),
    /// The side writes so often.
    Pump(Side, u8),
    /// The side reads so many bytes.
    Deliver(Side, u16),
    /// A hostile peer puts bytes in front of the side.
    Inject(Side, Vec<u8>),
    /// The called side lets go of a call that it has ended.
    Release(Side, u8),
}

/// How a call is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Size of the first message.
    pub(crate) body: Option<u16>,
    /// Milliseconds to its deadline.
    pub(crate) deadline: Option<u16>,
    /// The caller sends nothing else.
    pub(crate) end: bool,
    /// No answer is wanted.
    pub(crate) one_way: bool,
    /// It carries metadata.
    pub(crate) metadata: bool,
    /// The key of the metadata is not allowed.
    pub(crate) bad_metadata: bool,
}

impl Op {
    /// Reads all the operations that the bytes spell.
    #[must_use]
    pub(crate) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        std::iter::from_fn(|| Self::read(&mut bytes)).collect()
    }

    /// Reads one: the kind in the low four bits, the side in the highest, then arguments.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let tag = byte(bytes)?;
        let side = if tag & 0x80 == 0 {
            Side::Connecting
        } else {
            Side::Accepting
        };
        Some(match tag & 0x0f {
            0 => Self::Open(side, Opening::read(bytes)?),
            1 => Self::Send(side, byte(bytes)?, word(bytes)?, byte(bytes)? & 1 == 1),
            2 => Self::End(side, byte(bytes)?, byte(bytes)? & 1),
            3 => Self::Fail(side, byte(bytes)?),
            4 => Self::Cancel(side, byte(bytes)?),
            5 => Self::Consume(side, byte(bytes)?),
            6 => Self::Ping(side),
            7 => Self::GoAway(side, byte(bytes)?),
            8 => Self::Advance(word(bytes)?),
            9 => Self::Pump(side, byte(bytes)?),
            10 => Self::Deliver(side, word(bytes)?),
            11 => {
                let len = usize::from(word(bytes)?).min(bytes.len());
                let (part, rest) = bytes.split_at_checked(len)?;
                *bytes = rest;
                Self::Inject(side, part.to_vec())
            }
            12 => Self::Release(side, byte(bytes)?),
            _ => Self::Pump(side, 1),
        })
    }
}

impl Opening {
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (flags, size) = (byte(bytes)?, word(bytes)?);
        let has = |bit: u8| flags & bit != 0;
        Some(Self {
            body: has(4).then_some(size),
            deadline: has(8).then_some(size),
            end: has(1),
            one_way: has(2),
            metadata: has(16),
            bad_metadata: has(32),
        })
    }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn word(bytes: &mut &[u8]) -> Option<u16> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*first))
}
