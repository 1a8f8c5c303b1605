//! Peers that break the handshake, against a real daemon.

use std::sync::atomic::Ordering;

use ipc::wire::messages::Confirm;
use ipc::wire::{Flags, Header, Kind, Violation};
use prost::Message;

use crate::hostile::{TOO_LARGE, breaks_early};
use crate::raw::{Host, PREFACE, call, frame, generous};
use crate::support::*;

#[test]
fn a_stranger_that_speaks_another_language_is_told() {
    // [PRE-1] [PRE-2] [PRE-3]
    let host = Host::new();
    breaks_early(&host, Violation::BadPreface, |peer| {
        peer.send(b"GET / HTTP/1.1\r\n\r\n");
    });
    breaks_early(&host, Violation::BadPreface, |peer| {
        peer.send(&[PREFACE[0], 0]);
    });
    for version in [0, 2, 256, u16::MAX] {
        let (theirs, ours) = (version, 1);
        breaks_early(&host, Violation::VersionMismatch { theirs, ours }, |peer| {
            peer.send(&PREFACE[..6]);
            peer.send(&version.to_le_bytes());
        });
    }
}

#[test]
fn a_handshake_out_of_order_is_told() {
    // [HSK-13] [HSK-12] [LIM-1] [KND-4]
    let host = Host::new();
    let unexpected = [
        frame(Kind::Confirm, 0, Flags::NONE, &[]),
        frame(Kind::Welcome, 0, Flags::NONE, &[]),
        frame(Kind::Ping, 0, Flags::NONE, &[]),
        call(1, ECHO, &text("early")),
        frame(Kind::Hello, 7, Flags::NONE, &[]),
    ];
    for bytes in unexpected {
        breaks_early(&host, Violation::UnexpectedFrame, |peer| {
            peer.send(&PREFACE);
            peer.send(&bytes);
        });
    }
    breaks_early(&host, Violation::InvalidLimits, |peer| {
        peer.send(&PREFACE);
        peer.frame(Kind::Hello, 0, Flags::NONE, &[]);
    });
    let mut tiny = generous();
    tiny.max_frame = 1;
    breaks_early(&host, Violation::InvalidLimits, |peer| peer.greet(tiny));
    breaks_early(&host, Violation::Malformed, |peer| {
        peer.send(&PREFACE);
        peer.frame(Kind::Hello, 0, Flags::NONE, &[0xff; 9]);
    });
    breaks_early(&host, TOO_LARGE, |peer| {
        peer.send(&PREFACE);
        peer.send(&Header::new(Kind::Hello, 0, Flags::NONE, 16_385).to_bytes());
    });
    assert_eq!(host.daemon.seen.echoes.load(Ordering::Relaxed), 9);
}

#[test]
fn a_wrong_nonce_or_a_call_in_its_place_is_told() {
    // [HSK-9] [HSK-10] [HSK-11]
    let host = Host::new();
    for nonce in [vec![], vec![0; 16], vec![1; 17]] {
        let mut peer = host.stranger();
        peer.greet(generous());
        peer.welcomed();
        peer.confirm(nonce.into());
        assert_eq!(peer.closed_with(), Violation::BadNonce.code());
    }
    let mut peer = host.stranger();
    peer.greet(generous());
    peer.welcomed();
    peer.call(1, ECHO, &text("early"));
    assert_eq!(peer.closed_with(), Violation::UnexpectedFrame.code());
    host.is_unharmed();
}

#[test]
fn nonces_are_fresh_and_the_session_stays() {
    // [HSK-6] [HSK-7]
    let host = Host::new();
    let mut welcomes = (0..3).map(|_| {
        let mut peer = host.stranger();
        peer.greet(generous());
        peer.welcomed()
    });
    let (one, two, three) = (
        welcomes.next().unwrap(),
        welcomes.next().unwrap(),
        welcomes.next().unwrap(),
    );
    assert!(one.nonce != two.nonce && two.nonce != three.nonce && one.nonce != three.nonce);
    assert!(one.session == two.session && two.session == three.session);
    let other = Host::new();
    let mut peer = other.stranger();
    peer.greet(generous());
    assert_ne!(peer.welcomed().session, one.session);
}

#[test]
fn a_call_right_behind_the_handshake_is_answered() {
    // [HSK-3] [HSK-4]
    let host = Host::new();
    let mut peer = host.stranger();
    peer.greet(generous());
    let nonce = peer.welcomed().nonce;
    let confirm = Confirm { nonce }.encode_to_vec();
    let mut bytes = frame(Kind::Confirm, 0, Flags::NONE, &confirm);
    bytes.extend(call(1, ECHO, &text("quick")));
    peer.send(&bytes);
    assert_eq!(peer.answered(1).text, "quick");
}
