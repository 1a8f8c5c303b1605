//! One side and any bytes: what a stream means does not depend on how it was split.

use bytes::BytesMut;

use crate::limits::Limits;
use crate::wire::{
    Accepting, AwaitConfirm, Connecting, Decoder, Failure, Frame, Local, Progress, RawFrame,
    Violation,
};

/// Takes the frames of a stream apart: as a whole, byte by byte, and in pieces.
///
/// # Panics
///
/// Where these differ, or a frame is larger than `limit`.
pub(crate) fn decode(limit: u32, piece: usize, stream: &[u8]) {
    let decoder = Decoder::new(limit);
    let whole = frames(decoder, stream, stream.len());
    assert_eq!(whole, frames(decoder, stream, 1));
    assert_eq!(whole, frames(decoder, stream, piece));
    for raw in whole.0 {
        assert!(raw.header.len <= limit);
        assert_eq!(u32::try_from(raw.payload.len()), Ok(raw.header.len));
        let (header, payload) = (raw.header, raw.payload.clone());
        // Taking a frame apart fails by a violation, or keeps the user's bytes.
        if let Ok(Frame::Message { payload: user, .. }) = Frame::parse(raw) {
            assert_eq!(user, payload, "{header:?}");
        }
    }
}

type Frames = (Vec<RawFrame>, Option<Violation>, BytesMut);

fn frames(decoder: Decoder, stream: &[u8], piece: usize) -> Frames {
    let (mut frames, mut buffer) = (Vec::new(), BytesMut::new());
    for part in stream.chunks(piece.max(1)) {
        buffer.extend_from_slice(part);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(violation) => return (frames, Some(violation), BytesMut::new()),
            }
        }
    }
    (frames, None, buffer)
}

/// Gives a stream to one side of a handshake: as a whole, byte by byte, and in pieces; says how it ended.
///
/// # Panics
///
/// Where these end differently.
pub(crate) fn shake(accepting: bool, piece: usize, stream: &[u8]) -> Result<String, Failure> {
    let start = || match accepting {
        true => Step::Accepting(Accepting::default()),
        false => Step::Connecting(Connecting::start(&local()).0),
    };
    let whole = end_of(start(), stream, stream.len());
    assert_eq!(whole, end_of(start(), stream, 1));
    assert_eq!(whole, end_of(start(), stream, piece));
    whole
}

enum Step {
    Connecting(Connecting),
    Accepting(Accepting),
    Waiting(AwaitConfirm),
    Done(String),
}

fn end_of(mut step: Step, stream: &[u8], piece: usize) -> Result<String, Failure> {
    let mut buffer = BytesMut::new();
    for part in stream.chunks(piece.max(1)) {
        buffer.extend_from_slice(part);
        // Two steps of the accepting side may be in one piece.
        step = advance(advance(step, &mut buffer)?, &mut buffer)?;
    }
    Ok(match step {
        Step::Done(text) => format!("{text} {buffer:?}"),
        Step::Connecting(_) | Step::Accepting(_) => "waits for the first".into(),
        Step::Waiting(_) => "waits for CONFIRM".into(),
    })
}

fn advance(step: Step, buffer: &mut BytesMut) -> Result<Step, Failure> {
    Ok(match step {
        Step::Connecting(step) => match step.handle_input(buffer)? {
            Progress::Wait(step) => Step::Connecting(step),
            Progress::Next(next) => Step::Done(format!("{:?}", next.confirm())),
        },
        Step::Accepting(step) => match step.handle_input(buffer)? {
            Progress::Wait(step) => Step::Accepting(step),
            Progress::Next(next) => Step::Waiting(next.welcome(&local(), [1; 16], NONCE).0),
        },
        Step::Waiting(step) => match step.handle_input(buffer)? {
            Progress::Wait(step) => Step::Waiting(step),
            Progress::Next(next) => Step::Done(format!("{next:?}")),
        },
        done @ Step::Done(_) => done,
    })
}

fn local() -> Local {
    Local {
        limits: Limits::default(),
        ..Local::default()
    }
}

/// The nonce of the frozen vectors, so that seeds get past CONFIRM.
pub(super) const NONCE: [u8; 16] = [
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
];
