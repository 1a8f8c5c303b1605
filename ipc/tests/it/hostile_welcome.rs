//! Servers that break the handshake, against our client.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use ipc::wire::messages::{GoAway, Welcome};
use ipc::wire::{Flags, GoAwayCode, Kind, Violation};
use ipc::{
    Client, Code, ConnectionError, Error, HandshakeError, Outcome, Policy, SocketPath, blocking,
};
use prost::Message;

use crate::hostile_server::{Fake, blocking_client_of, client_of, greet, welcome};
use crate::raw::{PREFACE, Raw, frame};
use crate::support::limits;

fn handshake(error: Error) -> HandshakeError {
    match error {
        Error::Handshake(error) => error,
        other => panic!("{other:?}"),
    }
}

/// What both clients, the one with a runtime and the one without, make of a server.
fn meet(serve: impl FnOnce(&mut Raw) + Clone + Send + 'static, check: impl Fn(HandshakeError)) {
    let check = |error: Error| {
        assert_eq!(error.outcome(), Outcome::NotSent);
        check(handshake(error));
    };
    client_of(serve.clone(), async |client| check(client.unwrap_err()));
    blocking_client_of(serve, |client| check(client.unwrap_err()));
}

/// What a client makes of a server's first bytes.
fn shakes(bytes: Vec<u8>, check: impl Fn(HandshakeError)) {
    let serve = move |raw: &mut Raw| {
        raw.preface();
        raw.until(Kind::Hello);
        raw.send(&bytes);
        while raw.next().is_some() {}
    };
    meet(serve, check);
}

#[test]
fn a_server_of_another_version_is_named_with_both_versions() {
    // [PRE-3]
    let mut bytes = PREFACE.to_vec();
    bytes[6] = 9;
    shakes(bytes, |error| {
        let versions = matches!(error, HandshakeError::Version { theirs: 9, ours: 1 });
        assert!(versions, "{error:?}");
    });
}

fn lost_by(error: &HandshakeError) -> Option<Violation> {
    match error {
        HandshakeError::Lost(ConnectionError::Violation(violation)) => Some(*violation),
        _ => None,
    }
}

#[test]
fn a_server_that_breaks_the_handshake_is_named() {
    // [HSK-8] [HSK-13] [LIM-1]
    let with = |change: fn(&mut Welcome)| {
        let mut welcome = welcome();
        change(&mut welcome);
        let frame = frame(Kind::Welcome, 0, Flags::NONE, &welcome.encode_to_vec());
        [&PREFACE[..], &frame].concat()
    };
    let cases = [
        (Violation::BadPreface, b"HTTP/1.1 400".to_vec()),
        (Violation::Malformed, with(|w| w.nonce = vec![1; 15].into())),
        (
            Violation::Malformed,
            with(|w| w.session = vec![1; 17].into()),
        ),
        (Violation::InvalidLimits, with(|w| w.limits = None)),
        (
            Violation::UnexpectedFrame,
            [&PREFACE[..], &frame(Kind::Ping, 0, Flags::NONE, &[])].concat(),
        ),
    ];
    for (violation, bytes) in cases {
        shakes(bytes, |error| assert_eq!(lost_by(&error), Some(violation)));
    }
}

/// A server's refusal.
fn away(code: u32) -> Vec<u8> {
    let away = GoAway {
        code,
        message: "not today".into(),
        last_call: 0,
    };
    let away = frame(Kind::GoAway, 0, Flags::NONE, &away.encode_to_vec());
    [&PREFACE[..], &away].concat()
}

#[test]
fn a_server_that_turns_the_client_away_is_quoted() {
    shakes(away(64), |error| {
        let quoted = matches!(&error, HandshakeError::Refused(text) if text == "not today");
        assert!(quoted, "{error:?}");
    });
    shakes(away(65), |error| {
        let quoted = matches!(&error, HandshakeError::Overloaded(text) if text == "not today");
        assert!(quoted, "{error:?}");
    });
    shakes(away(4_711), |error| {
        let HandshakeError::Lost(ConnectionError::GoneAway { code: 4_711, .. }) = error else {
            panic!("{error:?}");
        };
    });
}

#[test]
fn a_server_that_hangs_up_is_lost_and_in_the_middle_of_a_frame_is_named() {
    // [TRN-4]
    let welcome = frame(Kind::Welcome, 0, Flags::NONE, &welcome().encode_to_vec());
    let begun = [&PREFACE[..], &welcome[..20]].concat();
    let cases: [(Vec<u8>, _); 4] = [
        (Vec::new(), None),
        (PREFACE.to_vec(), None),
        (PREFACE[..3].to_vec(), Some(Violation::Truncated)),
        (begun, Some(Violation::Truncated)),
    ];
    for (bytes, violation) in cases {
        let serve = move |raw: &mut Raw| {
            raw.preface();
            raw.until(Kind::Hello);
            raw.send(&bytes);
        };
        meet(serve, |error| match violation {
            Some(_) => assert_eq!(lost_by(&error), violation),
            None => assert!(is_closed(&error), "{error:?}"),
        });
    }
    // What it leaves unread makes the end of its socket an error.
    meet(|raw| raw.preface(), |error| assert!(is_closed(&error)));
}

/// A client with patience, which has a runtime or has none.
fn patient(blocking: bool, path: &SocketPath) -> Result<(), Error> {
    let patience = Duration::from_secs(20);
    if blocking {
        let client = blocking::Client::builder(path.clone()).trust(Policy::any_user());
        return client.connect_within(patience).connect().map(drop);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let client = Client::builder(path.clone()).trust(Policy::any_user());
    let connected = sendable(client.connect_within(patience).connect());
    runtime.unwrap().block_on(connected).map(drop)
}

/// A program may connect in a task of any thread.
const fn sendable<T: Send>(future: T) -> T {
    future
}

#[test]
fn a_server_that_ends_before_its_welcome_is_tried_again() {
    for blocking in [false, true] {
        let ended: Vec<fn(&mut Raw)> = vec![
            |_| {},
            // What it leaves unread makes the end of its socket an error.
            Raw::preface,
            |raw| {
                raw.preface();
                raw.until(Kind::Hello);
                raw.send(&PREFACE);
            },
        ];
        let fake = Fake::start_again(ended, |raw| greet(raw, &welcome()));
        patient(blocking, &fake.path).unwrap();
        fake.serving.join().unwrap();
    }
}

#[test]
fn a_server_that_turns_the_client_away_is_not_tried_again() {
    for blocking in [false, true] {
        for code in [64, 65] {
            let fake = Fake::start(move |raw| {
                raw.send(&away(code));
            });
            let error = handshake(patient(blocking, &fake.path).unwrap_err());
            let turned_away = matches!(
                error,
                HandshakeError::Refused(_) | HandshakeError::Overloaded(_)
            );
            assert!(turned_away, "{error:?}");
            fake.serving.join().unwrap();
        }
    }
}

#[test]
fn a_server_that_ends_again_and_again_is_lost_when_the_time_is_over() {
    let fake = Fake::start_again(vec![|_| {}; 1_000], |_| {});
    let patience = Duration::from_millis(20);
    let client = blocking::Client::builder(fake.path).trust(Policy::any_user());
    let error = client.connect_within(patience).connect().unwrap_err();
    assert!(is_closed(&handshake(error)));
}

fn is_closed(error: &HandshakeError) -> bool {
    matches!(error, HandshakeError::Lost(ConnectionError::Closed))
}

#[test]
fn a_server_that_says_nothing_is_an_error_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("d.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let path = SocketPath::at(&path).unwrap();
    let timed_out = |error: Error| {
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(matches!(handshake(error), HandshakeError::TimedOut));
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let client = Client::builder(path.clone()).trust(Policy::any_user());
    timed_out(runtime.block_on(client.connect()).unwrap_err());
    is_told_that_it_is_slow(&mut Raw::new(listener.accept().unwrap().0));

    let brief = limits(|limits| limits.handshake = Duration::from_millis(20));
    let client = blocking::Client::builder(path).trust(Policy::any_user());
    timed_out(client.limits(brief).connect().unwrap_err());
    is_told_that_it_is_slow(&mut Raw::new(listener.accept().unwrap().0));
}

fn is_told_that_it_is_slow(raw: &mut Raw) {
    // [TMO-1] [ERR-1]
    raw.preface();
    assert_eq!(raw.closed_with(), Violation::HandshakeTimeout.code());
}

#[test]
fn a_server_that_is_not_trusted_is_told() {
    // [ERR-1]
    let other = || Policy::user(nix::unistd::getuid().as_raw() + 1);
    let serve = |raw: &mut Raw| {
        raw.preface();
        raw.until(Kind::Hello);
        let welcome = frame(Kind::Welcome, 0, Flags::NONE, &welcome().encode_to_vec());
        raw.send(&[&PREFACE[..], &welcome].concat());
        assert_eq!(raw.closed_with(), GoAwayCode::UNTRUSTED);
    };
    let distrusted = |error: Error| {
        let error = handshake(error);
        let distrusted = matches!(error, HandshakeError::NotTrusted(_));
        assert!(distrusted, "{error:?}");
    };
    let fake = Fake::start(serve);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let client = Client::builder(fake.path.clone()).trust(other());
    distrusted(runtime.block_on(client.connect()).unwrap_err());
    fake.serving.join().unwrap();

    let fake = Fake::start(serve);
    let client = blocking::Client::builder(fake.path.clone()).trust(other());
    distrusted(client.connect().unwrap_err());
    fake.serving.join().unwrap();
}

/// Welcomes, takes nothing from then on, and sends as long as somebody reads.
fn pours(raw: &mut Raw) {
    raw.preface();
    raw.until(Kind::Hello);
    raw.socket.shutdown(Shutdown::Read).unwrap();
    raw.send(&PREFACE);
    raw.frame(Kind::Welcome, 0, Flags::NONE, &welcome().encode_to_vec());
    let noise = frame(Kind::Unknown(99), 0, Flags::NONE, &[0; 16_000]);
    let mut poured = 0;
    while poured < 64 << 20 && raw.socket.write_all(&noise).is_ok() {
        poured += noise.len();
    }
    assert!(poured < 4 << 20, "{poured} bytes were read");
}

#[test]
fn a_server_that_reads_nothing_and_never_stops_sending_is_left() {
    // [TRN-6]
    client_of(pours, async |client| drop(client));
    blocking_client_of(pours, drop);
}
