//! The frozen bytes of wire version 1: never edited, only joined by `wire_v2`.
#![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod conversations;
mod document;
mod pair;
mod seeds;
mod vectors;

use bytes::{Bytes, BytesMut};
use ipc::Limits;
use ipc::wire::messages::{
    CallHead, Cancel, Confirm, Credit, End, Entry, GoAway, Hello, PeerLimits, Ping, ServiceInfo,
    Welcome,
};
use ipc::wire::{
    Accepting, CallId, Connecting, Decoder, Frame, Header, Local, Progress, method_id,
};
use prost::Message;

use pair::conversation;

const SUBMIT: u32 = 0x207e_3d5e;
const WATCH: u32 = 0xca92_1e0d;

#[test]
fn each_frame_means_what_its_name_says() {
    for (name, hex) in vectors::FRAMES {
        let mut buffer = BytesMut::from(&vectors::bytes(hex)[..]);
        let raw = Decoder::new(16_384).decode(&mut buffer).unwrap().unwrap();
        let (header, frame) = (raw.header, Frame::parse(raw).unwrap());
        assert_eq!(frame, expected(name), "{name}");
        assert!(buffer.is_empty(), "{name}");
        if frame != Frame::Unknown {
            assert_eq!(encode(header, &frame), vectors::bytes(hex), "{name}");
        }
    }
}

#[test]
fn a_frame_is_never_taken_before_its_last_byte() {
    // TRN-5
    for (name, hex) in vectors::FRAMES {
        let bytes = vectors::bytes(hex);
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let early = Decoder::new(16_384).decode(&mut buffer);
            assert_eq!(early, Ok(None), "{name} cut at {cut}");
            buffer.extend_from_slice(&bytes[cut..]);
            let raw = Decoder::new(16_384).decode(&mut buffer).unwrap().unwrap();
            assert_eq!(Frame::parse(raw), Ok(expected(name)), "{name} cut at {cut}");
        }
    }
}

#[test]
fn the_handshake_is_the_published_one() {
    // PRE-1 HSK-3 HSK-4 HSK-9 HSK-11 TRN-5
    for piece in [1, 3, usize::MAX] {
        let (connecting, out) = Connecting::start(&local("agent/1"));
        let mut said = vec![('>', out.to_vec())];
        let Some(Progress::Next(greeted)) = feed(&out, piece, Accepting::default(), |step, b| {
            step.handle_input(b).unwrap()
        }) else {
            panic!("HELLO was not taken");
        };
        let (session, nonce) = (
            std::array::from_fn(|i| i as u8),
            std::array::from_fn(|i| 0xf0 + i as u8),
        );
        let (waiting, out) = greeted.welcome(&local("daemon/1"), session, nonce);
        said.push(('<', out.to_vec()));
        let Some(Progress::Next(welcomed)) = feed(&out, piece, connecting, |step, b| {
            step.handle_input(b).unwrap()
        }) else {
            panic!("WELCOME was not taken");
        };
        let (_, out) = welcomed.confirm();
        said.push(('>', out.to_vec()));
        let done = feed(&out, piece, waiting, |step, b| {
            step.handle_input(b).unwrap()
        });
        assert!(matches!(done, Some(Progress::Next(_))));
        assert_eq!(said, conversation("handshake"));
    }
    assert!(
        conversation("handshake")[0]
            .1
            .starts_with(&vectors::bytes(vectors::PREFACE))
    );
}

#[test]
fn the_method_ids_of_the_vectors_are_those_of_their_names() {
    assert_eq!(method_id("example.Jobs/Submit"), SUBMIT);
    assert_eq!(method_id("example.Jobs/Watch"), WATCH);
}

fn feed<S, N>(
    bytes: &[u8],
    piece: usize,
    step: S,
    mut handle: impl FnMut(S, &mut BytesMut) -> Progress<S, N>,
) -> Option<Progress<S, N>> {
    let (mut buffer, mut progress) = (BytesMut::new(), Some(Progress::Wait(step)));
    for part in bytes.chunks(piece.min(bytes.len())) {
        buffer.extend_from_slice(part);
        let Some(Progress::Wait(step)) = progress else {
            return None;
        };
        progress = Some(handle(step, &mut buffer));
    }
    progress
}

fn service() -> ServiceInfo {
    ServiceInfo {
        name: "example.Jobs".into(),
        schema: 0x0102_0304_0506_0708,
    }
}

fn local(software: &str) -> Local {
    let mut limits = Limits::default();
    (limits.max_frame, limits.initial_credit) = (65_536, 262_144);
    Local {
        limits,
        services: vec![service()],
        software: software.into(),
    }
}

fn id(raw: u32) -> CallId {
    CallId::parse(raw).unwrap()
}

fn head(method: u32, body: Option<&'static [u8]>) -> CallHead {
    CallHead {
        method,
        body: body.map(Bytes::from_static),
        ..CallHead::default()
    }
}

fn entry() -> Entry {
    Entry {
        key: "trace-id".into(),
        value: Bytes::from_static(&[1, 2]),
    }
}

fn expected(name: &str) -> Frame {
    connection_frame(name).unwrap_or_else(|| call_frame(name))
}

fn connection_frame(name: &str) -> Option<Frame> {
    let limits = PeerLimits {
        max_frame: 65_536,
        max_message: 4_194_304,
        max_calls: 256,
        initial_credit: 262_144,
        max_metadata: 8_192,
    };
    let nonce = Bytes::from_iter(0xf0..=0xff);
    let opaque = 0x0807_0605_0403_0201;
    Some(match name {
        "hello" => Frame::Hello(Hello {
            minor: 0,
            limits: Some(limits),
            services: vec![service()],
            software: "agent/1".into(),
        }),
        "welcome" => Frame::Welcome(Welcome {
            minor: 0,
            limits: Some(limits),
            services: vec![service()],
            software: "daemon/1".into(),
            session: Bytes::from_iter(0..16),
            nonce,
        }),
        "confirm" => Frame::Confirm(Confirm { nonce }),
        "ping" => Frame::Ping(Ping { opaque }),
        "pong" => Frame::Pong(Ping { opaque }),
        "goaway" => Frame::GoAway(GoAway {
            code: 0,
            message: "restart".into(),
            last_call: 9,
        }),
        "goaway-violation" => Frame::GoAway(GoAway {
            code: 5,
            message: "call id was used before".into(),
            last_call: 1,
        }),
        "unknown-kind" => Frame::Unknown,
        _ => return None,
    })
}

fn call_frame(name: &str) -> Frame {
    let call = |raw, head, end, one_way| Frame::Call {
        id: id(raw),
        head,
        end,
        one_way,
    };
    let message = |text: &'static str, end, more| Frame::Message {
        id: id(1),
        payload: Bytes::from_static(text.as_bytes()),
        end,
        more,
    };
    match name {
        "call" => {
            let plain = head(SUBMIT, Some(b"hi"));
            let full = CallHead {
                time_left: Some(2_000_000),
                metadata: vec![entry()],
                ..plain
            };
            call(1, full, true, false)
        }
        "call-open" => call(3, head(WATCH, None), false, false),
        "call-empty-body" => call(5, head(WATCH, Some(b"")), true, false),
        "call-one-way" => call(7, head(WATCH, Some(b"x")), true, true),
        "message" => message("hello", false, false),
        "message-more" => message("hel", false, true),
        "message-end" => message("", true, false),
        "end" => Frame::End(id(1), End::default()),
        "end-status" => {
            let end = End {
                code: 5,
                message: "no such job".into(),
                details: Bytes::from_static(&[8, 7]),
                metadata: vec![entry()],
                unseen: true,
            };
            Frame::End(id(1), end)
        }
        "cancel" => Frame::Cancel(id(1), Cancel { code: 1 }),
        "credit" => Frame::Credit(id(2), Credit { bytes: 612 }),
        other => panic!("no such frame: {other}"),
    }
}

/// The frame as bytes, with the flags and call of `header`.
fn encode(header: Header, frame: &Frame) -> Vec<u8> {
    let payload = match frame {
        Frame::Hello(m) => m.encode_to_vec(),
        Frame::Welcome(m) => m.encode_to_vec(),
        Frame::Confirm(m) => m.encode_to_vec(),
        Frame::Call { head, .. } => head.encode_to_vec(),
        Frame::Message { payload, .. } => payload.to_vec(),
        Frame::End(_, m) => m.encode_to_vec(),
        Frame::Cancel(_, m) => m.encode_to_vec(),
        Frame::Credit(_, m) => m.encode_to_vec(),
        Frame::Ping(m) | Frame::Pong(m) => m.encode_to_vec(),
        Frame::GoAway(m) => m.encode_to_vec(),
        Frame::Unknown => Vec::new(),
    };
    let len = u32::try_from(payload.len()).unwrap();
    let header = Header::new(header.kind, header.call, header.flags, len);
    [&header.to_bytes()[..], &payload].concat()
}
