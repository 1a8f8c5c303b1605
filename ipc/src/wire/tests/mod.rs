//! Rules of PROTOCOL.md, by id, on engines without a connection.

mod apart;
mod credit;
mod filling;
mod handshake;
mod late;
mod limits;
mod memory;
mod metadata;
mod order;
mod states;
mod time;

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::call::{CallId, Key, Side};
use super::decoder::Decoder;
use super::engine::{Engine, Event};
use super::frame::Frame;
use super::handshake::Established;
use super::header::{Flags, HEADER_LEN, Header, Kind};
use super::messages::{CallHead, Cancel, Credit, End, PeerLimits};
use super::violation::Violation;
use super::{Body, Open, method_id};
use crate::limits::Limits;

/// One engine, and a peer that is only frames.
struct Rig {
    engine: Engine<()>,
    input: BytesMut,
    now: Instant,
    /// Calls that were given credit and not answered yet; see `credit`.
    credited: Vec<u32>,
}

impl Rig {
    fn accepting() -> Self {
        Self::new(Side::Accepting, |_, _| {})
    }

    fn connecting() -> Self {
        Self::new(Side::Connecting, |_, _| {})
    }

    /// The limits of the engine and those its peer announced can be changed first.
    #[expect(clippy::disallowed_methods, reason = "a value; nothing waits for it")]
    fn new(side: Side, change: impl FnOnce(&mut Limits, &mut PeerLimits)) -> Self {
        let mut ours = Limits::default();
        let mut theirs = PeerLimits {
            max_frame: 65_536,
            max_message: 4_194_304,
            max_calls: 256,
            initial_credit: 262_144,
            max_metadata: 8_192,
        };
        change(&mut ours, &mut theirs);
        let established = Established {
            limits: theirs,
            ..Established::default()
        };
        Self {
            engine: Engine::new(side, &ours, &established),
            input: BytesMut::new(),
            now: Instant::now(),
            credited: Vec::new(),
        }
    }

    /// What the engine makes of these frames.
    fn hear(&mut self, bytes: impl AsRef<[u8]>) -> Result<Vec<Event>, Violation> {
        self.input.extend_from_slice(bytes.as_ref());
        let mut events = Vec::new();
        while let Some(event) = self.engine.handle_input(&mut self.input, self.now)? {
            events.push(event);
        }
        Ok(events)
    }

    /// The violation that these frames are.
    fn refuses(&mut self, bytes: impl AsRef<[u8]>) -> Violation {
        match self.hear(bytes) {
            Err(violation) => violation,
            Ok(events) => panic!("taken: {events:?}"),
        }
    }

    /// The key of the call that these frames open.
    fn called(&mut self, bytes: impl AsRef<[u8]>) -> Key {
        match &self.hear(bytes).unwrap()[..] {
            [Event::Call { key, .. }, ..] => *key,
            other => panic!("{other:?}"),
        }
    }

    /// All the engine wants to write, as frames.
    fn says(&mut self) -> Vec<Frame> {
        let mut out = BytesMut::new();
        while self.engine.poll_output(&mut out) {}
        frames(out)
    }

    fn ids(&self, keys: &[Key]) -> BTreeSet<CallId> {
        let ids = keys.iter().map(|key| self.engine.id(*key).unwrap());
        ids.collect()
    }

    /// What the engine writes in one go.
    fn writes(&mut self) -> Vec<Frame> {
        let mut out = BytesMut::new();
        self.engine.poll_output(&mut out);
        frames(out)
    }

    fn open(&mut self, body: Option<usize>, end: bool) -> Key {
        self.engine.open(open(body, end)).unwrap()
    }
}

fn open(body: Option<usize>, end: bool) -> Open<'static> {
    Open {
        head: CallHead::default(),
        body: body.map(body_of),
        end,
        one_way: false,
        deadline: None,
    }
}

fn body_of(size: usize) -> Body<'static> {
    Body::Bytes(vec![7; size].into())
}

fn status(code: u32) -> End {
    End {
        code,
        ..End::default()
    }
}

fn frames(mut bytes: BytesMut) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(raw) = Decoder::new(1 << 24).decode(&mut bytes).unwrap() {
        frames.push(Frame::parse(raw).unwrap());
    }
    assert!(bytes.is_empty());
    frames
}

/// Kind, id and flags of frames, short: `call 1 end`, `message 1 more`.
fn names(frames: &[Frame]) -> Vec<String> {
    let flag = |set: bool, name: &'static str| if set { name } else { "" };
    let name = |frame: &Frame| match frame {
        Frame::Call {
            id, end, one_way, ..
        } => {
            let (end, one_way) = (flag(*end, " end"), flag(*one_way, " one-way"));
            format!("call {}{end}{one_way}", id.get())
        }
        Frame::Message { id, end, more, .. } => {
            let (end, more) = (flag(*end, " end"), flag(*more, " more"));
            format!("message {}{end}{more}", id.get())
        }
        Frame::End(id, end) => format!(
            "end {} {}{}",
            id.get(),
            end.code,
            flag(end.unseen, " unseen")
        ),
        Frame::Cancel(id, cancel) => format!("cancel {} {}", id.get(), cancel.code),
        Frame::Credit(id, credit) => format!("credit {} {}", id.get(), credit.bytes),
        Frame::Ping(_) => "ping".into(),
        Frame::Pong(_) => "pong".into(),
        Frame::GoAway(away) => format!("goaway {} {}", away.code, away.last_call),
        other => format!("{other:?}"),
    };
    frames.iter().map(name).collect()
}

fn raw(kind: Kind, call: u32, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let header = Header::new(kind, call, flags, len);
    [&header.to_bytes()[..], payload].concat()
}

/// CALL with an empty body, and END if `end`.
fn call(id: u32, end: bool) -> Vec<u8> {
    let head = CallHead {
        body: end.then(Bytes::new),
        ..CallHead::default()
    };
    let flags = Flags::NONE.with(Flags::END, end);
    raw(Kind::Call, id, flags, &head.encode_to_vec())
}

fn message(id: u32, flags: Flags, size: usize) -> Vec<u8> {
    raw(Kind::Message, id, flags, &vec![7; size])
}

fn end(id: u32, code: u32) -> Vec<u8> {
    raw(Kind::End, id, Flags::NONE, &status(code).encode_to_vec())
}

fn cancel(id: u32) -> Vec<u8> {
    let payload = Cancel { code: 1 }.encode_to_vec();
    raw(Kind::Cancel, id, Flags::NONE, &payload)
}

fn credit(id: u32, bytes: u32) -> Vec<u8> {
    let payload = Credit { bytes }.encode_to_vec();
    raw(Kind::Credit, id, Flags::NONE, &payload)
}

#[test]
fn method_ids_match_the_published_fnv_vectors() {
    assert_eq!(method_id(""), 0x811c_9dc5);
    assert_eq!(method_id("a"), 0xe40c_292c);
    assert_eq!(method_id("foobar"), 0xbf9c_f968);
}
