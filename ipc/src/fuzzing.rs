//! What the fuzz targets call; each panics where a promise is broken.

use std::time::Instant;

use bytes::BytesMut;

use crate::limits::Limits;
use crate::wire::model::{Op, run};
use crate::wire::{
    Accepting, AwaitConfirm, Connecting, Decoder, Failure, Frame, Local, Progress, RawFrame,
    Violation,
};

/// The split of a stream never changes its frames.
///
/// The first byte is the limit in units of 1024 bytes, the second the size of the pieces.
pub fn decoder(data: &[u8]) {
    let [limit, piece, stream @ ..] = data else {
        return;
    };
    let decoder = Decoder::new(u32::from(*limit) * 1_024);
    let whole = frames(decoder, stream, stream.len());
    assert_eq!(whole, frames(decoder, stream, 1));
    assert_eq!(whole, frames(decoder, stream, usize::from(*piece)));
    for raw in whole.0 {
        assert!(raw.payload.len() <= usize::from(*limit) * 1_024);
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

/// The split of a handshake never changes its end.
///
/// The first byte is the side, the second the size of the pieces.
pub fn handshake(data: &[u8]) {
    let [side, piece, stream @ ..] = data else {
        return;
    };
    let start = || match side & 1 {
        0 => Step::Accepting(Accepting::default()),
        _ => Step::Connecting(Connecting::start(&local()).0),
    };
    let whole = shake(start(), stream, stream.len());
    assert_eq!(whole, shake(start(), stream, 1));
    assert_eq!(whole, shake(start(), stream, usize::from(*piece)));
}

enum Step {
    Connecting(Connecting),
    Accepting(Accepting),
    Waiting(AwaitConfirm),
    Done(String),
}

fn shake(mut step: Step, stream: &[u8], piece: usize) -> Result<String, Failure> {
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
const NONCE: [u8; 16] = [
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
];

/// Two engines keep their promises, whatever happens between them.
#[expect(
    clippy::disallowed_methods,
    reason = "the base of a clock that is told"
)]
pub fn engine(data: &[u8]) {
    run(&Op::read_all(data), Instant::now());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_seeds_pass() {
        type Target = fn(&[u8]);
        let targets: [(&str, Target); 3] = [
            ("decoder", super::decoder),
            ("handshake", super::handshake),
            ("engine", super::engine),
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        for (name, target) in targets {
            let seeds = fs::read_dir(root.join(name)).unwrap();
            let paths = seeds.map(|entry| entry.unwrap().path());
            assert!(paths.map(|path| target(&fs::read(path).unwrap())).count() > 1);
        }
    }
}
