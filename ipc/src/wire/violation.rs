//! Every way a peer can be wrong, and its code.

/// A breach of the protocol by the peer; each closes the connection.
///
/// The peer reads [`code`](Self::code) in GOAWAY (PROTOCOL.md#error-codes).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// The first eight bytes are not the preface of this protocol.
    #[error("the peer does not speak this protocol")]
    BadPreface,
    /// The preface names a major version that we do not speak.
    #[error("the peer speaks wire version {theirs}, we speak version {ours}")]
    VersionMismatch {
        /// The peer's major version.
        theirs: u16,
        /// Our major version.
        ours: u16,
    },
    /// A header claims more than we announced to accept.
    #[error("frame of {len} bytes exceeds the limit of {limit}")]
    FrameTooLarge {
        /// The claimed payload length in bytes.
        len: u32,
        /// What we accept in bytes.
        limit: u32,
    },
    /// A known kind where it is not allowed: in the handshake, after it, from the wrong
    /// side, or with or without a call id.
    #[error("frame kind is not allowed here")]
    UnexpectedFrame,
    /// A CALL with an id that was used before, or that does not rise.
    #[error("call id was used before")]
    CallReused,
    /// A frame for a call that was never opened.
    #[error("frame for a call that was never opened")]
    UnknownCall,
    /// A CALL whose id belongs to our own side.
    #[error("call id has the wrong parity")]
    WrongParity,
    /// More message bytes than the credit we gave.
    #[error("stream exceeds its credit")]
    CreditOverrun,
    /// A message whose chunks add up to more than we accept.
    #[error("message exceeds the limit of {limit} bytes")]
    MessageTooLarge {
        /// What we accept in bytes.
        limit: u32,
    },
    /// A MESSAGE or END after the end of that direction, or an end inside a message.
    #[error("frame after the end of its stream")]
    AfterEnd,
    /// A payload of ours, not the user's, that does not parse.
    #[error("frame payload does not parse")]
    Malformed,
    /// CREDIT of zero, or beyond what can be counted.
    #[error("credit is zero or beyond what can be counted")]
    BadCredit,
    /// CONFIRM without the nonce of WELCOME.
    #[error("handshake nonce does not match")]
    BadNonce,
    /// Descriptors were attached; version 1 has no use for them.
    #[error("file descriptors were attached")]
    Descriptors,
    /// An announced limit is outside its range.
    #[error("an announced limit is out of range")]
    InvalidLimits,
    /// Frames that need answers, sent faster than the answers are read.
    #[error("the peer does not read the answers it asks for")]
    Flood,
    /// The handshake took too long.
    #[error("handshake timed out")]
    HandshakeTimeout,
    /// A frame was begun and not completed in time.
    #[error("frame was not completed in time")]
    FrameTimeout,
    /// The peer did not read for too long.
    #[error("the peer stopped reading")]
    WriteTimeout,
    /// The connection ended inside a frame.
    #[error("connection ended inside a frame")]
    Truncated,
}

impl Violation {
    /// The code the peer reads in GOAWAY (PROTOCOL.md#error-codes); never reused.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::BadPreface => 1,
            Self::VersionMismatch { .. } => 2,
            Self::FrameTooLarge { .. } => 3,
            Self::UnexpectedFrame => 4,
            Self::CallReused => 5,
            Self::UnknownCall => 6,
            Self::WrongParity => 7,
            Self::CreditOverrun => 8,
            Self::MessageTooLarge { .. } => 9,
            Self::AfterEnd => 10,
            Self::Malformed => 11,
            Self::BadCredit => 12,
            Self::BadNonce => 13,
            Self::Descriptors => 14,
            Self::InvalidLimits => 15,
            Self::Flood => 16,
            Self::HandshakeTimeout => 17,
            Self::FrameTimeout => 18,
            Self::WriteTimeout => 19,
            Self::Truncated => 20,
        }
    }
}

/// Codes of GOAWAY that are not violations (PROTOCOL.md#error-codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoAwayCode;

impl GoAwayCode {
    /// The sender stops taking calls; open calls may finish.
    pub const DRAINING: u32 = 0;
    /// The policy of the accepting side does not admit this peer.
    pub const REFUSED: u32 = 64;
    /// The accepting side has as many connections as it takes.
    pub const OVERLOADED: u32 = 65;
    /// The connecting side does not trust this server.
    pub const UNTRUSTED: u32 = 66;
    /// The sender failed for a reason of its own.
    pub const INTERNAL: u32 = 67;
}
