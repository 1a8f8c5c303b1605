//! Servers that break the handshake, against our client.

use std::os::unix::net::UnixListener;

use ipc::wire::messages::{GoAway, Welcome};
use ipc::wire::{Flags, Kind, Violation};
use ipc::{Client, Code, ConnectionError, Error, HandshakeError, Outcome, Policy, SocketPath};
use prost::Message;

use crate::hostile_server::{client_of, welcome};
use crate::raw::{PREFACE, Raw, frame};

fn handshake(error: Error) -> HandshakeError {
    match error {
        Error::Handshake(error) => error,
        other => panic!("{other:?}"),
    }
}

/// What a client makes of a server's first bytes.
fn shakes(bytes: Vec<u8>, check: impl FnOnce(HandshakeError)) {
    let serve = move |raw: &mut Raw| {
        raw.preface();
        raw.until(Kind::Hello);
        raw.send(&bytes);
        while raw.next().is_some() {}
    };
    client_of(serve, async |client| {
        let error = client.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent);
        check(handshake(error));
    });
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

#[test]
fn a_server_that_turns_the_client_away_is_quoted() {
    let away = |code| {
        let away = GoAway {
            code,
            message: "not today".into(),
            last_call: 0,
        };
        let away = frame(Kind::GoAway, 0, Flags::NONE, &away.encode_to_vec());
        [&PREFACE[..], &away].concat()
    };
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
fn a_server_that_hangs_up_or_says_nothing_is_an_error_in_time() {
    client_of(
        |raw| raw.preface(),
        async |client| {
            let error = handshake(client.unwrap_err());
            let closed = matches!(error, HandshakeError::Lost(ConnectionError::Closed));
            assert!(closed, "{error:?}");
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("d.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let client = Client::builder(SocketPath::at(&path).unwrap()).trust(Policy::any_user());
    let error = runtime.block_on(client.connect()).unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(matches!(handshake(error), HandshakeError::TimedOut));
}

#[test]
fn a_server_that_attaches_descriptors_to_its_welcome_is_told() {
    // [TRN-3] [ERR-1]
    let serve = |raw: &mut Raw| {
        raw.preface();
        raw.until(Kind::Hello);
        let welcome = welcome().encode_to_vec();
        let welcome = frame(Kind::Welcome, 0, Flags::NONE, &welcome);
        drop(raw.attach(&[&PREFACE[..], &welcome].concat()));
        assert_eq!(raw.closed_with(), Violation::Descriptors.code());
    };
    client_of(serve, async |client| {
        let error = handshake(client.unwrap_err());
        assert_eq!(lost_by(&error), Some(Violation::Descriptors));
    });
}
