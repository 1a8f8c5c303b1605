//! Peers that break the rules, against a real daemon. What they read names their fault, and nobody else notices.

use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc::wire::messages::{CallHead, Cancel, Confirm, Credit, Ping};
use ipc::wire::{Flags, Header, Kind, Violation};
use prost::Message;

use crate::raw::{Host, PREFACE, Raw, call, frame, generous, greeting, open};
use crate::support::*;

pub(crate) const TOO_LARGE: Violation = Violation::FrameTooLarge { len: 0, limit: 0 };

/// What a peer does after its handshake, and the violation it is told.
fn breaks(host: &Host, expected: Violation, act: impl FnOnce(&mut Raw)) {
    let mut peer = host.peer();
    act(&mut peer);
    assert_eq!(peer.closed_with(), expected.code(), "{expected:?}");
    host.is_unharmed();
}

/// The same for a peer that has only connected.
pub(crate) fn breaks_early(host: &Host, expected: Violation, act: impl FnOnce(&mut Raw)) {
    let mut peer = host.stranger();
    act(&mut peer);
    peer.preface();
    assert_eq!(peer.closed_with(), expected.code(), "{expected:?}");
    host.is_unharmed();
}

#[test]
fn frames_that_break_the_rules_close_their_connection_alone() {
    // [HDR-2] [KND-2] [KND-3] [KND-4] [FLG-3] [IDS-3] [IDS-4] [IDS-5] [CRD-4] [TRN-2]
    let host = Host::new();
    let none = Flags::NONE;
    let zero = Credit { bytes: 0 }.encode_to_vec();
    let most = Credit { bytes: u32::MAX }.encode_to_vec();
    let counted = Header {
        descriptors: 1,
        ..Header::new(Kind::Ping, 0, none, 0)
    };
    let again = [call(3, ECHO, &text("")), call(3, ECHO, &text(""))].concat();
    let falls = [call(3, ECHO, &text("")), call(1, ECHO, &text(""))].concat();
    let both = [
        open(1, DEAF),
        frame(Kind::Message, 1, Flags::END.with(Flags::MORE, true), b""),
    ];
    let after = [
        open(1, DEAF),
        frame(Kind::Message, 1, Flags::END, b""),
        frame(Kind::Message, 1, none, b""),
    ];
    let inside = [
        open(1, DEAF),
        frame(Kind::Message, 1, Flags::MORE, b"half"),
        frame(Kind::End, 1, none, b""),
    ];
    let cases: Vec<(Violation, Vec<u8>)> = vec![
        (
            TOO_LARGE,
            Header::new(Kind::Message, 1, none, u32::MAX)
                .to_bytes()
                .into(),
        ),
        (
            TOO_LARGE,
            Header::new(Kind::Unknown(99), 0, none, 131_073)
                .to_bytes()
                .into(),
        ),
        (Violation::Descriptors, counted.to_bytes().into()),
        (Violation::UnexpectedFrame, frame(Kind::Hello, 0, none, &[])),
        (
            Violation::UnexpectedFrame,
            frame(Kind::Confirm, 0, none, &[]),
        ),
        (Violation::UnexpectedFrame, frame(Kind::Ping, 5, none, &[])),
        (Violation::UnexpectedFrame, frame(Kind::Call, 0, none, &[])),
        (Violation::CallReused, again),
        (Violation::CallReused, falls),
        (Violation::WrongParity, call(2, ECHO, &text(""))),
        (Violation::UnknownCall, frame(Kind::Message, 1, none, b"")),
        (Violation::UnknownCall, frame(Kind::Cancel, 9, none, b"")),
        (Violation::UnknownCall, frame(Kind::End, 2, none, b"")),
        (Violation::Malformed, frame(Kind::Call, 1, none, &[0xff; 5])),
        (Violation::Malformed, frame(Kind::Ping, 0, none, &[0x09])),
        (
            Violation::BadCredit,
            [open(1, DEAF), frame(Kind::Credit, 1, none, &zero)].concat(),
        ),
        (
            Violation::BadCredit,
            [open(1, DEAF), frame(Kind::Credit, 1, none, &most)].concat(),
        ),
        (Violation::AfterEnd, both.concat()),
        (Violation::AfterEnd, after.concat()),
        (Violation::AfterEnd, inside.concat()),
    ];
    for (violation, bytes) in cases {
        breaks(&host, violation, |peer| {
            peer.send(&bytes);
        });
    }
}

#[test]
fn more_than_the_credit_is_told() {
    // [CRD-2]
    let host = Host::new();
    breaks(&host, Violation::CreditOverrun, |peer| {
        peer.send(&open(1, DEAF));
        let payload = vec![0; 60_000];
        for _ in 0..18 {
            peer.frame(Kind::Message, 1, Flags::NONE, &payload);
        }
    });
}

#[test]
fn a_message_that_grows_beyond_the_most_is_told() {
    // [LIM-3]
    let host = Host::with(limits(|limits| limits.max_message = 100_000));
    breaks(&host, Violation::MessageTooLarge { limit: 0 }, |peer| {
        peer.send(&open(1, DEAF));
        peer.frame(Kind::Message, 1, Flags::MORE, &vec![0; 60_000]);
        peer.frame(Kind::Message, 1, Flags::MORE, &vec![0; 60_000]);
    });
}

#[test]
fn the_end_inside_a_frame_is_told() {
    // [TRN-4]
    let host = Host::new();
    let bytes = call(1, ECHO, &text("cut"));
    for cut in [1, 11, 12, bytes.len() - 1] {
        breaks(&host, Violation::Truncated, |peer| {
            peer.send(&bytes[..cut]);
            peer.socket.shutdown(Shutdown::Write).unwrap();
        });
    }
    breaks_early(&host, Violation::Truncated, |peer| {
        peer.send(&PREFACE[..5]);
        peer.socket.shutdown(Shutdown::Write).unwrap();
    });
    // Between frames it is just the end.
    let mut peer = host.peer();
    peer.call(1, ECHO, &text("bye"));
    assert_eq!(peer.answered(1).text, "bye");
    peer.socket.shutdown(Shutdown::Write).unwrap();
    assert!(peer.next().is_none());
}

#[test]
fn a_peer_that_dribbles_is_dropped_in_time() {
    // [TMO-1] [TMO-2]
    let host = Host::with(limits(|limits| {
        limits.handshake = Duration::from_millis(100);
        limits.frame = Duration::from_millis(100);
    }));
    breaks_early(&host, Violation::HandshakeTimeout, |_| {});
    breaks_early(&host, Violation::HandshakeTimeout, |peer| {
        peer.send(&PREFACE);
        // One byte for each answer to others.
        for byte in frame(Kind::Unknown(200), 0, Flags::NONE, &[0; 2_000]) {
            host.is_unharmed();
            if !peer.send(&[byte]) {
                break;
            }
        }
    });
    let bytes = call(1, ECHO, &text(&"x".repeat(2_000)));
    breaks(&host, Violation::FrameTimeout, |peer| {
        for byte in &bytes[..bytes.len() - 1] {
            host.is_unharmed();
            if !peer.send(&[*byte]) {
                break;
            }
        }
        host.is_unharmed();
    });
    // Whole frames, however slow, are no offence.
    let mut peer = host.peer();
    peer.call(1, WAIT, &text(""));
    host.runtime
        .block_on(soon(host.daemon.seen.waiting.notified()));
    breaks_early(&host, Violation::HandshakeTimeout, |_| {});
    breaks_early(&host, Violation::HandshakeTimeout, |_| {});
    host.daemon.seen.go.notify_one();
    assert_eq!(peer.answered(1).text, "");
}

#[test]
fn descriptors_are_refused_before_and_after_the_handshake() {
    // [TRN-1] [TRN-3]
    let host = Host::new();
    let given = [
        attached(host.peer(), &frame(Kind::Ping, 0, Flags::NONE, &[]), false),
        attached(host.stranger(), &PREFACE, true),
        attached(host.stranger(), &greeting(generous()), true),
    ];
    let mut peer = host.stranger();
    peer.greet(generous());
    let nonce = peer.welcomed().nonce;
    let confirm = Confirm { nonce }.encode_to_vec();
    let last = attached(peer, &frame(Kind::Confirm, 0, Flags::NONE, &confirm), false);
    host.is_unharmed();
    // Nobody kept the other end.
    for mut kept in given.into_iter().chain([last]).flatten() {
        kept.set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        assert_eq!(kept.read(&mut [0]).unwrap(), 0);
    }
}

/// Sends bytes with a descriptor, for which the peer is sent away, if the kernel lets it.
#[expect(clippy::print_stdout, reason = "what is skipped is told")]
fn attached(mut peer: Raw, bytes: &[u8], early: bool) -> Option<UnixStream> {
    let Some(kept) = peer.attach(bytes) else {
        println!("skipped: the kernel does not let descriptors be sent to this receiver");
        return None;
    };
    if early {
        peer.preface();
    }
    assert_eq!(peer.closed_with(), Violation::Descriptors.code());
    Some(kept)
}

#[test]
fn what_is_only_unknown_or_late_is_ignored() {
    // [KND-1] [KND-5] [KND-6] [FLG-2] [STA-2] [CAN-4] [EVO-1]
    let host = Host::new();
    let mut peer = host.peer();
    for kind in [0, 12, 99, 255] {
        peer.frame(Kind::Unknown(kind), 0, Flags::NONE, b"what");
        peer.frame(Kind::Unknown(kind), 77, Flags::from_byte(0xff), b"");
    }
    peer.frame(Kind::Pong, 0, Flags::from_byte(0xf0), &[]);
    peer.call(1, ECHO, &text("done"));
    assert_eq!(peer.answered(1).text, "done");
    let credit = Credit { bytes: 1 }.encode_to_vec();
    let cancel = Cancel { code: 1 }.encode_to_vec();
    peer.frame(Kind::Cancel, 1, Flags::NONE, &cancel);
    peer.frame(Kind::Credit, 1, Flags::NONE, &credit);
    peer.frame(Kind::Message, 1, Flags::NONE, b"late");
    peer.frame(Kind::End, 1, Flags::NONE, b"");
    let ping = Ping { opaque: 0x0102 }.encode_to_vec();
    peer.frame(Kind::Ping, 0, Flags::NONE, &ping);
    let pong = peer.until(Kind::Pong);
    assert_eq!(Ping::decode(pong.payload).unwrap().opaque, 0x0102);
    // A field from the future.
    let mut head = CallHead {
        method: ECHO.id(),
        ..CallHead::default()
    };
    head.body = Some(text("later").encode_to_vec().into());
    let mut bytes = head.encode_to_vec();
    bytes.extend([0xf8, 0x07, 0x01]);
    peer.frame(Kind::Call, 3, Flags::END, &bytes);
    assert_eq!(peer.answered(3).text, "later");
}
