//! The handshake, one wrong byte at a time.

use super::super::handshake::{
    Accepting, Connecting, Failure, Greeted, Local, Parting, Progress, Welcomed, turn_away,
};
use super::super::messages::{Confirm, GoAway, Hello, Welcome};
use super::*;

const PREFACE: [u8; 8] = [0x8d, b'I', b'P', b'C', 0x0d, 0x0a, 1, 0];

fn limits() -> PeerLimits {
    PeerLimits {
        max_frame: 1_024,
        max_message: 1_024,
        max_calls: 0,
        initial_credit: 1_024,
        max_metadata: 0,
    }
}

fn hello(limits: Option<PeerLimits>, minor: u32) -> Vec<u8> {
    let hello = Hello {
        limits,
        minor,
        ..Hello::default()
    };
    raw(Kind::Hello, 0, Flags::NONE, &hello.encode_to_vec())
}

fn welcome(session: usize, nonce: usize, limits: Option<PeerLimits>) -> Vec<u8> {
    let welcome = Welcome {
        limits,
        session: vec![1; session].into(),
        nonce: vec![2; nonce].into(),
        ..Welcome::default()
    };
    raw(Kind::Welcome, 0, Flags::NONE, &welcome.encode_to_vec())
}

fn greet(bytes: &[u8]) -> Result<Progress<Accepting, Greeted>, Failure> {
    Accepting::default().handle_input(&mut BytesMut::from(bytes))
}

fn welcomed(bytes: &[u8]) -> Result<Progress<Connecting, Welcomed>, Failure> {
    let (step, _) = Connecting::start(&Local::default());
    step.handle_input(&mut BytesMut::from(bytes))
}

fn confirm(bytes: &[u8]) -> Result<(), Failure> {
    let Ok(Progress::Next(greeted)) = greet(&[&PREFACE[..], &hello(Some(limits()), 0)].concat())
    else {
        panic!("HELLO was not taken");
    };
    let (step, _) = greeted.welcome(&Local::default(), [1; 16], [2; 16]);
    step.handle_input(&mut BytesMut::from(bytes)).map(|_| ())
}

fn with_preface(frame: &[u8]) -> Vec<u8> {
    [&PREFACE[..], frame].concat()
}

fn broken<T>(result: Result<T, Failure>) -> Violation {
    match result {
        Err(Failure::Violation(violation)) => violation,
        Err(away) => panic!("{away:?}"),
        Ok(_) => panic!("taken"),
    }
}

#[test]
fn a_wrong_preface_is_refused_at_its_first_wrong_byte() {
    // PRE-2
    for at in 0..6 {
        let mut bytes = PREFACE;
        bytes[at] ^= 1;
        assert_eq!(broken(greet(&bytes[..=at])), Violation::BadPreface, "{at}");
        assert_eq!(
            broken(welcomed(&bytes[..=at])),
            Violation::BadPreface,
            "{at}"
        );
        assert!(matches!(greet(&bytes[..at]), Ok(Progress::Wait(_))), "{at}");
    }
}

#[test]
fn another_major_version_is_named() {
    // PRE-3
    let mut bytes = PREFACE;
    bytes[6] = 2;
    let mismatch = Violation::VersionMismatch { theirs: 2, ours: 1 };
    assert_eq!(broken(greet(&bytes)), mismatch);
    assert!(matches!(greet(&bytes[..7]), Ok(Progress::Wait(_))));
}

#[test]
fn limits_out_of_range_are_refused_on_both_sides() {
    // LIM-1
    let changed = |change: fn(&mut PeerLimits)| {
        let mut limits = limits();
        change(&mut limits);
        Some(limits)
    };
    let bad = [
        None,
        changed(|l| l.max_frame = 1_023),
        changed(|l| l.max_frame = (16 << 20) + 1),
        changed(|l| l.max_message = 1_023),
        changed(|l| l.max_message = (1 << 30) + 1),
        changed(|l| l.initial_credit = 1_023),
        changed(|l| l.initial_credit = (1 << 30) + 1),
    ];
    for limits in bad {
        let hello = with_preface(&hello(limits, 0));
        assert_eq!(
            broken(greet(&hello)),
            Violation::InvalidLimits,
            "{limits:?}"
        );
        let welcome = with_preface(&welcome(16, 16, limits));
        assert_eq!(
            broken(welcomed(&welcome)),
            Violation::InvalidLimits,
            "{limits:?}"
        );
    }
    let most = PeerLimits {
        max_frame: 16 << 20,
        max_message: 1 << 30,
        max_calls: u32::MAX,
        initial_credit: 1 << 30,
        max_metadata: u32::MAX,
    };
    for limits in [limits(), most] {
        assert!(matches!(
            greet(&with_preface(&hello(Some(limits), 0))),
            Ok(Progress::Next(_))
        ));
    }
}

#[test]
fn the_minor_version_in_force_is_the_lower() {
    // HSK-5
    let Ok(Progress::Next(greeted)) = greet(&with_preface(&hello(Some(limits()), 7))) else {
        panic!("HELLO was not taken");
    };
    let (_, out) = greeted.welcome(&Local::default(), [1; 16], [2; 16]);
    let Frame::Welcome(welcome) = frames(BytesMut::from(&out[8..])).remove(0) else {
        panic!("no WELCOME");
    };
    assert_eq!(welcome.minor, 0);
    assert_eq!((welcome.session.len(), welcome.nonce.len()), (16, 16));
}

#[test]
fn a_nonce_or_session_of_another_length_is_refused() {
    // HSK-8
    for (session, nonce) in [(15, 16), (16, 17), (0, 16), (16, 0)] {
        let bytes = with_preface(&welcome(session, nonce, Some(limits())));
        assert_eq!(broken(welcomed(&bytes)), Violation::Malformed);
    }
}

#[test]
fn another_nonce_is_refused() {
    // HSK-9 HSK-10
    for nonce in [vec![2; 15], vec![2; 17], vec![], vec![3; 16]] {
        let payload = Confirm {
            nonce: nonce.into(),
        }
        .encode_to_vec();
        let violation = broken(confirm(&raw(Kind::Confirm, 0, Flags::NONE, &payload)));
        assert_eq!(violation, Violation::BadNonce);
    }
    let payload = Confirm {
        nonce: vec![2; 16].into(),
    }
    .encode_to_vec();
    assert_eq!(
        confirm(&raw(Kind::Confirm, 0, Flags::NONE, &payload)),
        Ok(())
    );
}

#[test]
fn other_known_kinds_are_refused_in_every_state() {
    // HSK-13 HSK-11
    let ping = raw(Kind::Ping, 0, Flags::NONE, &[]);
    let welcome = welcome(16, 16, Some(limits()));
    let hello = hello(Some(limits()), 0);
    for frame in [&ping, &call(1, true), &welcome] {
        assert_eq!(
            broken(greet(&with_preface(frame))),
            Violation::UnexpectedFrame
        );
    }
    for frame in [&ping, &call(2, true), &hello] {
        assert_eq!(
            broken(welcomed(&with_preface(frame))),
            Violation::UnexpectedFrame
        );
    }
    for frame in [&ping, &call(1, true), &hello] {
        assert_eq!(broken(confirm(frame)), Violation::UnexpectedFrame);
    }
    let unknown = raw(Kind::Unknown(99), 3, Flags::NONE, b"x");
    assert_eq!(confirm(&unknown), Ok(()), "it waits on");
}

#[test]
fn frames_of_the_handshake_have_a_limit_of_their_own() {
    // HSK-14 HDR-2
    let long = |size: usize| raw(Kind::Unknown(99), 0, Flags::NONE, &vec![0; size]);
    assert!(greet(&with_preface(&long(16_384))).is_ok());
    let violation = broken(greet(&with_preface(&long(16_385)[..12])));
    assert_eq!(
        violation,
        Violation::FrameTooLarge {
            len: 16_385,
            limit: 16_384
        }
    );
}

#[test]
fn a_peer_that_is_turned_away_learns_why() {
    // PRE-1
    let out = turn_away(false, 64, &"no".repeat(2_000));
    assert!(out.starts_with(&PREFACE));
    let Err(Failure::GoAway(GoAway {
        code,
        message,
        last_call,
    })) = welcomed(&out)
    else {
        panic!("not turned away");
    };
    assert_eq!((code, message.len(), last_call), (64, 512, 0));
    assert_eq!(
        confirm(&turn_away(true, 66, "")),
        Err(Failure::GoAway(GoAway {
            code: 66,
            ..GoAway::default()
        }))
    );
}

/// What is found in the last words of a server that come in pieces of this size: `None` if it
/// may still say more, and the code of its GOAWAY.
fn parting(bytes: &[u8], piece: usize) -> Option<Option<u32>> {
    let (mut step, mut buffer) = (Parting::default(), BytesMut::new());
    for part in bytes.chunks(piece) {
        buffer.extend_from_slice(part);
        match step.handle_input(&mut buffer) {
            Progress::Wait(wait) => step = wait,
            Progress::Next(said) => return Some(said.map(|away| away.code)),
        }
    }
    None
}

#[test]
fn the_last_words_of_a_server_are_looked_for_only_so_far() {
    // TRN-6
    let away = turn_away(true, 64, "no").to_vec();
    let noise = raw(Kind::Unknown(99), 0, Flags::NONE, &[0; 16_000]);
    let broken = raw(Kind::Credit, 1, Flags::NONE, &[0xff]);
    for piece in [1, 1_000, 100_000] {
        assert_eq!(parting(&noise, piece), None);
        let behind_noise = [&noise[..], &away].concat();
        assert_eq!(parting(&behind_noise, piece), Some(Some(64)));
        let behind_a_violation = [&broken[..], &away].concat();
        assert_eq!(parting(&behind_a_violation, piece), Some(None));
        assert_eq!(parting(&noise.repeat(4), piece), None);
        assert_eq!(parting(&noise.repeat(5), piece), Some(None));
    }
}
