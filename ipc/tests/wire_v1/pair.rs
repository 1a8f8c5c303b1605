//! Two engines whose words are kept.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use ipc::Limits;
use ipc::wire::messages::{CallHead, PeerLimits};
use ipc::wire::{Body, Engine, Established, Event, Key, Open, Side};

use super::vectors;

/// How the bytes arrive: one by one, in small pieces, at once.
pub(crate) const PIECES: [usize; 3] = [1, 5, usize::MAX];

/// Two engines; what they say is kept.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    piece: usize,
    pub(crate) connecting: Engine<()>,
    pub(crate) accepting: Engine<()>,
    pub(crate) said: Vec<(char, Vec<u8>)>,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "a value; nothing waits for it")]
    pub(crate) fn new(piece: usize, connecting: Limits, accepting: Limits) -> Self {
        Self {
            now: Instant::now(),
            piece,
            connecting: Engine::new(Side::Connecting, &connecting, &established(&accepting)),
            accepting: Engine::new(Side::Accepting, &accepting, &established(&connecting)),
            said: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, way: char) -> Vec<u8> {
        let from = if way == '>' {
            &mut self.connecting
        } else {
            &mut self.accepting
        };
        let mut out = BytesMut::new();
        while from.poll_output(&mut out) {}
        if !out.is_empty() {
            self.said.push((way, out.to_vec()));
        }
        out.to_vec()
    }

    pub(crate) fn hear(&mut self, way: char, bytes: &[u8]) -> Vec<Event> {
        let to = if way == '>' {
            &mut self.accepting
        } else {
            &mut self.connecting
        };
        let (mut buffer, mut events) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(self.piece.min(bytes.len()).max(1)) {
            buffer.extend_from_slice(piece);
            while let Some(event) = to.handle_input(&mut buffer, self.now).unwrap() {
                events.push(event);
            }
        }
        assert!(buffer.is_empty());
        events
    }

    pub(crate) fn pass(&mut self, way: char) -> Vec<Event> {
        let bytes = self.say(way);
        self.hear(way, &bytes)
    }

    pub(crate) fn call(&mut self, open: Open<'_>) -> Key {
        self.connecting.open(open).unwrap();
        only_call(&self.pass('>'))
    }
}

/// The lines of a conversation; lines of the same direction in a row are one.
pub(crate) fn conversation(name: &str) -> Vec<(char, Vec<u8>)> {
    let lines = vectors::CONVERSATIONS.iter().find(|(n, _)| *n == name);
    let mut out: Vec<(char, Vec<u8>)> = Vec::new();
    for line in lines.expect("a conversation").1 {
        let (way, hex) = line.split_once(' ').unwrap();
        let way = way.chars().next().unwrap();
        match out.last_mut() {
            Some((last, bytes)) if *last == way => bytes.extend(vectors::bytes(hex)),
            _ => out.push((way, vectors::bytes(hex))),
        }
    }
    out
}

pub(crate) fn only_call(events: &[Event]) -> Key {
    match events {
        [Event::Call { key, .. }] => *key,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn texts(events: Vec<Event>) -> Vec<String> {
    let text = |event| match event {
        Event::Message { whole, end, .. } => {
            let end = if end { " end" } else { "" };
            format!("message {}{end}", String::from_utf8_lossy(&whole.bytes))
        }
        Event::End { end, .. } => {
            let unseen = if end.unseen { " unseen" } else { "" };
            format!("end {} {}{unseen}", end.code, end.message)
        }
        Event::Cancelled { .. } => "cancelled".into(),
        Event::Backlog => "backlog".into(),
        Event::Pong(value) => format!("pong {value}"),
        Event::GoAway(away) => format!("goaway {} {}", away.code, away.last_call),
        Event::Call { .. } => "call".into(),
    };
    events.into_iter().map(text).collect()
}

pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub(crate) fn established(limits: &Limits) -> Established {
    Established {
        limits: PeerLimits::from(limits),
        ..Established::default()
    }
}

pub(crate) fn head(method: u32) -> CallHead {
    CallHead {
        method,
        ..CallHead::default()
    }
}

pub(crate) fn body(bytes: &[u8]) -> Body<'static> {
    Body::Bytes(Bytes::copy_from_slice(bytes))
}

pub(crate) fn open(head: CallHead, message: Option<&[u8]>, end: bool) -> Open<'static> {
    Open {
        head,
        body: message.map(body),
        end,
        one_way: false,
        deadline: None,
    }
}
