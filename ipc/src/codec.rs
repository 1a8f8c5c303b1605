//! The framing alone, for people who bring their own transport and rules.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio_util::codec;

use crate::wire::{Decoder, HEADER_LEN, RawFrame, Violation};

/// Frames of PROTOCOL.md as a [`tokio_util::codec`]: header and payload, nothing else.
///
/// There is no preface, handshake, call or credit here; a connection of this crate adds them.
///
/// # Examples
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use ipc::codec::FrameCodec;
/// use ipc::wire::{Flags, Header, Kind, RawFrame};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = FrameCodec::new(65_536);
/// let payload = Bytes::from_static(b"hello");
/// let header = Header::new(Kind::Message, 1, Flags::END, 5);
///
/// let mut buffer = BytesMut::new();
/// codec.encode(RawFrame { header, payload: payload.clone() }, &mut buffer)?;
/// assert_eq!(buffer.len(), 12 + 5);
///
/// let frame = codec.decode(&mut buffer)?.expect("a whole frame");
/// assert_eq!(frame.payload, payload);
/// # Ok::<(), ipc::codec::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    decoder: Decoder,
    max_frame: u32,
}

impl FrameCodec {
    /// A codec that takes and writes payloads of up to `max_frame` bytes.
    #[must_use]
    pub const fn new(max_frame: u32) -> Self {
        Self {
            decoder: Decoder::new(max_frame),
            max_frame,
        }
    }
}

/// Why a frame could not be read or written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The frame breaks the framing: the peer's when reading, the caller's when writing.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The transport failed.
    #[error("transport failed")]
    Io(#[from] io::Error),
}

impl codec::Decoder for FrameCodec {
    type Item = RawFrame;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<RawFrame>, CodecError> {
        Ok(self.decoder.decode(buffer)?)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<RawFrame>, CodecError> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(Violation::Truncated.into()),
            frame => Ok(frame),
        }
    }
}

impl codec::Encoder<RawFrame> for FrameCodec {
    type Error = CodecError;

    /// Writes the frame; its length is that of the payload, whatever the header says.
    fn encode(&mut self, frame: RawFrame, buffer: &mut BytesMut) -> Result<(), CodecError> {
        let RawFrame {
            mut header,
            payload,
        } = frame;
        header.len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if header.len > self.max_frame {
            let (len, limit) = (header.len, self.max_frame);
            return Err(Violation::FrameTooLarge { len, limit }.into());
        }
        buffer.reserve(HEADER_LEN.saturating_add(payload.len()));
        buffer.put_slice(&header.to_bytes());
        buffer.put_slice(&payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    use super::*;
    use crate::wire::{Flags, Header, Kind};

    fn frame(payload: &'static [u8]) -> RawFrame {
        let len = u32::try_from(payload.len()).unwrap();
        RawFrame {
            header: Header::new(Kind::Message, 3, Flags::MORE, len),
            payload: Bytes::from_static(payload),
        }
    }

    fn violation(error: CodecError) -> Violation {
        match error {
            CodecError::Violation(violation) => violation,
            CodecError::Io(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again_at_any_split() {
        let (mut codec, mut bytes) = (FrameCodec::new(64), BytesMut::new());
        codec.encode(frame(b"one"), &mut bytes).unwrap();
        codec.encode(frame(b""), &mut bytes).unwrap();
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let mut frames = Vec::new();
            frames.extend(codec.decode(&mut buffer).unwrap());
            buffer.extend_from_slice(&bytes[cut..]);
            while let Some(frame) = codec.decode_eof(&mut buffer).unwrap() {
                frames.push(frame);
            }
            assert_eq!(frames, [frame(b"one"), frame(b"")], "cut at {cut}");
        }
    }

    #[test]
    fn the_end_inside_a_frame_is_a_truncation() {
        let (mut codec, mut bytes) = (FrameCodec::new(64), BytesMut::new());
        codec.encode(frame(b"one"), &mut bytes).unwrap();
        for cut in 1..bytes.len() {
            let error = codec
                .decode_eof(&mut BytesMut::from(&bytes[..cut]))
                .unwrap_err();
            assert_eq!(violation(error), Violation::Truncated, "cut at {cut}");
        }
        assert!(codec.decode_eof(&mut BytesMut::new()).unwrap().is_none());
    }

    #[test]
    fn neither_side_of_the_codec_takes_an_oversized_frame() {
        let refused = Violation::FrameTooLarge { len: 3, limit: 2 };
        let mut bytes = BytesMut::new();
        let error = FrameCodec::new(2)
            .encode(frame(b"one"), &mut bytes)
            .unwrap_err();
        assert_eq!(violation(error), refused);
        assert!(bytes.is_empty());
        FrameCodec::new(3)
            .encode(frame(b"one"), &mut bytes)
            .unwrap();
        let error = FrameCodec::new(2).decode(&mut bytes).unwrap_err();
        assert_eq!(violation(error), refused);
    }

    #[test]
    fn a_header_that_lies_about_its_length_is_corrected() {
        let mut lie = frame(b"one");
        lie.header.len = 99;
        let mut bytes = BytesMut::new();
        FrameCodec::new(64).encode(lie, &mut bytes).unwrap();
        assert_eq!(
            FrameCodec::new(64).decode(&mut bytes).unwrap(),
            Some(frame(b"one"))
        );
    }
}
