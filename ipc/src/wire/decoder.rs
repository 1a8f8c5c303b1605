//! Bytes to frames: any split, bounded memory.

use bytes::{Buf, Bytes, BytesMut};

use super::header::{HEADER_LEN, Header};
use super::violation::Violation;

/// A frame with its payload as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The fixed header.
    pub header: Header,
    /// The payload, `header.len` bytes.
    pub payload: Bytes,
}

/// Takes frames off the front of a buffer.
///
/// Holds no bytes itself and never reserves for a claimed length: the buffer grows
/// only with what has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    max_frame: u32,
}

impl Decoder {
    /// A decoder that accepts payloads of up to `max_frame` bytes.
    #[must_use]
    pub const fn new(max_frame: u32) -> Self {
        Self { max_frame }
    }

    /// Takes one frame; `None` means more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Violation::FrameTooLarge`] as soon as the header has arrived, before any of
    /// the payload is waited for.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<RawFrame>, Violation> {
        let Some(head) = buffer.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let header = Header::parse(head);
        if header.len > self.max_frame {
            return Err(Violation::FrameTooLarge {
                len: header.len,
                limit: self.max_frame,
            });
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let whole = len.saturating_add(HEADER_LEN);
        if buffer.len() < whole {
            return Ok(None);
        }
        let payload = if len <= COPIED {
            let payload = buffer.get(HEADER_LEN..whole).unwrap_or_default();
            let payload = Bytes::copy_from_slice(payload);
            buffer.advance(whole);
            payload
        } else {
            let mut frame = buffer.split_to(whole);
            frame.advance(HEADER_LEN);
            frame.freeze()
        };
        Ok(Some(RawFrame { header, payload }))
    }
}

/// A payload up to this size is copied: shared, it would keep a read buffer alive, which on a busy
/// connection is sixteen times as large or more, and cost the next read a new one.
const COPIED: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::header::{Flags, Kind};

    fn ping(len: u8) -> Vec<u8> {
        let header = Header::new(Kind::Message, 1, Flags::END, u32::from(len));
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend((0..len).collect::<Vec<_>>());
        bytes
    }

    #[test]
    fn a_frame_is_never_decoded_before_its_last_byte() {
        let bytes = ping(9);
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(
                Decoder::new(64).decode(&mut buffer),
                Ok(None),
                "cut at {cut}"
            );
            buffer.extend_from_slice(&bytes[cut..]);
            let frame = Decoder::new(64).decode(&mut buffer).unwrap().unwrap();
            assert_eq!(&frame.payload[..], &bytes[HEADER_LEN..], "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn an_oversized_header_is_refused_without_its_body() {
        let bytes = ping(65);
        let mut buffer = BytesMut::from(&bytes[..HEADER_LEN]);
        let refused = Decoder::new(64).decode(&mut buffer);
        assert_eq!(
            refused,
            Err(Violation::FrameTooLarge { len: 65, limit: 64 })
        );
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let header = Header::new(Kind::Message, 1, Flags::NONE, 1 << 20);
        let mut buffer = BytesMut::with_capacity(HEADER_LEN);
        buffer.extend_from_slice(&header.to_bytes());
        let before = buffer.capacity();
        assert_eq!(Decoder::new(1 << 20).decode(&mut buffer), Ok(None));
        assert_eq!(buffer.capacity(), before);
    }
}
