//! The fixed header in front of every payload.

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 12;

/// What a frame is; the byte at offset 8 (PROTOCOL.md#kinds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The connecting side introduces itself.
    Hello,
    /// The accepting side answers with its choices and a nonce.
    Welcome,
    /// The connecting side returns the nonce.
    Confirm,
    /// Opens a call.
    Call,
    /// A message, or a chunk of one.
    Message,
    /// Ends one direction of a call; from the called side, the call with its status.
    End,
    /// The calling side gives the call up.
    Cancel,
    /// More bytes of one call may be sent.
    Credit,
    /// Asks for a PONG.
    Ping,
    /// Answers a PING.
    Pong,
    /// No further calls are taken; with a code other than 0 the connection is over.
    GoAway,
    /// A kind this version does not know; ignored.
    Unknown(u8),
}

impl Kind {
    /// The kind for a byte; never fails, because unknown kinds are ignored by rule.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Confirm,
            4 => Self::Call,
            5 => Self::Message,
            6 => Self::End,
            7 => Self::Cancel,
            8 => Self::Credit,
            9 => Self::Ping,
            10 => Self::Pong,
            11 => Self::GoAway,
            other => Self::Unknown(other),
        }
    }

    /// The byte for a kind.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Welcome => 2,
            Self::Confirm => 3,
            Self::Call => 4,
            Self::Message => 5,
            Self::End => 6,
            Self::Cancel => 7,
            Self::Credit => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::GoAway => 11,
            Self::Unknown(byte) => byte,
        }
    }
}

/// The flag bits at offset 9; unknown bits are kept and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The sender's last frame of this direction of the call.
    pub const END: Self = Self(0x01);
    /// The message goes on in the next MESSAGE frame of this call.
    pub const MORE: Self = Self(0x02);
    /// On CALL: no answer is wanted.
    pub const ONE_WAY: Self = Self(0x04);

    /// The flags for a byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte for the flags.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those of `other`, if `condition`.
    #[must_use]
    pub const fn with(self, other: Self, condition: bool) -> Self {
        if condition {
            Self(self.0 | other.0)
        } else {
            self
        }
    }
}

/// A parsed frame header. All integers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Offset 0: payload bytes that follow.
    pub len: u32,
    /// Offset 4: the call, or 0 for a frame of the connection.
    pub call: u32,
    /// Offset 8.
    pub kind: Kind,
    /// Offset 9.
    pub flags: Flags,
    /// Offset 10: descriptors attached; always 0 in version 1.
    pub descriptors: u16,
}

impl Header {
    /// A header without descriptors.
    #[must_use]
    pub const fn new(kind: Kind, call: u32, flags: Flags, len: u32) -> Self {
        Self {
            len,
            call,
            kind,
            flags,
            descriptors: 0,
        }
    }

    /// Reads a header; any 12 bytes are one.
    #[must_use]
    pub const fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind, flags, d0, d1] = *bytes;
        Self {
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            call: u32::from_le_bytes([c0, c1, c2, c3]),
            kind: Kind::from_byte(kind),
            flags: Flags::from_byte(flags),
            descriptors: u16::from_le_bytes([d0, d1]),
        }
    }

    /// The header as bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let [c0, c1, c2, c3] = self.call.to_le_bytes();
        let [d0, d1] = self.descriptors.to_le_bytes();
        let (kind, flags) = (self.kind.to_byte(), self.flags.to_byte());
        [l0, l1, l2, l3, c0, c1, c2, c3, kind, flags, d0, d1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_pattern_survives_a_round_trip() {
        for byte in 0..=u8::MAX {
            let bytes = [byte, 1, 2, 3, 4, 5, 6, 7, byte, byte, 9, byte];
            assert_eq!(Header::parse(&bytes).to_bytes(), bytes);
        }
    }

    #[test]
    fn fields_stand_at_their_published_offsets() {
        let header = Header {
            len: 0x0403_0201,
            call: 0x0807_0605,
            kind: Kind::Message,
            flags: Flags::END.with(Flags::MORE, true),
            descriptors: 0x0c0b,
        };
        assert_eq!(
            header.to_bytes(),
            [1, 2, 3, 4, 5, 6, 7, 8, 5, 3, 0x0b, 0x0c]
        );
    }
}
