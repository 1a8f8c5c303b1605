//! A connection whose other end is a bare socket.

use std::os::fd::AsRawFd;

use bytes::Bytes;
use nix::sys::socket::{Shutdown, shutdown};

use super::*;
use crate::metadata::Metadata;
use crate::method::Shape;
use crate::sys::socket_pair;
use crate::wire::messages::PeerLimits;
use crate::wire::{Body, Established, Flags, GoAwayCode, Header, Kind};

static ECHO: Method = Method::new("test.Echo/Echo", Shape::Unary);
static NOTE: Method = Method::new("test.Echo/Note", Shape::OneWay);

/// A connection that reads from a socket and writes to another descriptor.
fn link(socket: OwnedFd, out: impl Into<OwnedFd>) -> Link {
    with_limits(socket, out, Limits::default())
}

fn with_limits(socket: OwnedFd, out: impl Into<OwnedFd>, limits: Limits) -> Link {
    let established = Established {
        limits: PeerLimits {
            max_frame: 65_536,
            max_message: 65_536,
            max_calls: 1,
            initial_credit: 65_536,
            max_metadata: 1_024,
        },
        ..Established::default()
    };
    Link {
        refuses: false,
        peer: Peer::of(&socket).unwrap(),
        socket: Arc::new(socket),
        core: Core::new(
            Engine::new(Side::Connecting, &limits, &established),
            Writer::Socket(Arc::new(out.into())),
        ),
        input: BytesMut::new(),
        looked: now(),
        pool: Pool::new(limits.pooled),
        limits,
    }
}

fn open(link: &mut Link, method: &'static Method) -> Key {
    let options = Options {
        timeout: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    link.open(method, options, Some(&())).unwrap()
}

fn is_lost(failure: &Failure) -> bool {
    matches!(failure.connection(), Some(ConnectionError::Io(_)))
}

fn unwritable() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

#[test]
fn a_call_is_lost_at_once_when_its_socket_cannot_be_written() {
    let (near, far) = socket_pair().unwrap();
    let mut before = link(near.try_clone().unwrap(), unwritable());
    let key = open(&mut before, &NOTE);
    assert!(before.core.writer.is_none(), "still open");
    assert!(is_lost(&before.sent(key).unwrap_err()));

    let mut amid = link(near.try_clone().unwrap(), near);
    let key = open(&mut amid, &ECHO);
    amid.core.writer = Some(Writer::Socket(Arc::new(unwritable())));
    let ping = Header::new(Kind::Ping, 0, Flags::NONE, 0);
    sys::send(far.as_fd(), &ping.to_bytes()).unwrap();
    let failure = amid.answer(key).unwrap().1.into_result().unwrap_err();
    assert!(is_lost(&failure), "{failure:?}");
    assert!(amid.core.writer.is_none(), "still open");
}

#[test]
fn what_is_left_behind_and_cannot_be_written_ends_the_connection() {
    let (near, _far) = socket_pair().unwrap();
    let mut link = link(near, unwritable());
    link.core.engine.go_away(GoAwayCode::DRAINING, "");
    let failure = link.open(&ECHO, Options::default(), None).unwrap_err();
    assert!(is_lost(&failure), "{failure:?}");
    assert_eq!(failure.outcome(), Outcome::NotSent);
    assert!(link.core.writer.is_none(), "still open");
}

/// A message of the first call.
fn message(len: u32) -> Vec<u8> {
    let mut frame = Header::new(Kind::Message, 1, Flags::NONE, len)
        .to_bytes()
        .to_vec();
    frame.resize(frame.len() + len as usize, 0);
    frame
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_reads_is_not_held_against_the_peer() {
    // [TMO-2]
    let (near, far) = socket_pair().unwrap();
    let mut link = link(near.try_clone().unwrap(), near);
    let key = link.open(&ECHO, Options::default(), None).unwrap();
    let large = message(50_000);
    let (begun, rest) = large.split_at(1);
    sys::send(far.as_fd(), &[&message(1), begun].concat()).unwrap();
    assert_eq!(link.next(key).unwrap().bytes.len(), 1);
    assert_eq!(sys::send(far.as_fd(), rest).unwrap(), rest.len());
    tokio::time::advance(link.limits.frame * 2).await;
    assert_eq!(link.next(key).unwrap().bytes.len(), 50_000);
}

#[test]
fn time_in_which_the_peer_is_waited_for_is() {
    // [TMO-2]
    let (near, far) = socket_pair().unwrap();
    let limits = Limits {
        frame: Duration::from_millis(20),
        ..Limits::default()
    };
    let mut link = with_limits(near.try_clone().unwrap(), near, limits);
    let key = link.open(&ECHO, Options::default(), None).unwrap();
    sys::send(far.as_fd(), &message(1)[..1]).unwrap();
    let failure = link.answer(key).unwrap().1.into_result().unwrap_err();
    let reason = failure.connection();
    let blamed = ConnectionError::Violation(Violation::FrameTimeout);
    assert_eq!(format!("{reason:?}"), format!("{:?}", Some(blamed)));
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_writes_is_not_held_against_the_peer() {
    // [TMO-3]
    let (near, far) = socket_pair().unwrap();
    let mut link = link(near.try_clone().unwrap(), near);
    let key = link.open(&ECHO, Options::default(), None).unwrap();
    while sys::send(link.socket.as_fd(), &[0; 4_096]).is_ok() {}
    link.core.engine.ping(1);
    assert_eq!(link.write(), Flushed::Blocked);
    tokio::time::advance(link.limits.write * 2).await;
    let mut taken = BytesMut::with_capacity(1 << 20);
    while sys::receive(far.as_fd(), &mut taken, false).is_ok() {
        taken.clear();
    }
    sys::send(far.as_fd(), &message(1)).unwrap();
    assert_eq!(link.next(key).unwrap().bytes.len(), 1);
    assert!(link.close_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_given_up_is_not_held_against_the_peer() {
    // [TMO-3]
    let (near, _far) = socket_pair().unwrap();
    let mut link = link(near.try_clone().unwrap(), near);
    while sys::send(link.socket.as_fd(), &[0; 4_096]).is_ok() {}
    let second = Duration::from_secs(1);
    let timing = Some((now() + second, second));
    let open = opening(
        &ECHO,
        Metadata::default(),
        Some(Body::Bytes(Bytes::new())),
        timing,
    );
    link.core.engine.open(open).unwrap();
    assert_eq!(link.write(), Flushed::Blocked);
    tokio::time::advance(second).await;
    link.expire(now(), false).unwrap();
    assert_eq!(link.write(), Flushed::All);
    tokio::time::advance(link.limits.write * 2).await;
    link.expire(now(), false).unwrap();
}

/// What the peer has been sent, if the end has come behind it.
fn all(far: &OwnedFd) -> Option<BytesMut> {
    let mut said = BytesMut::new();
    said.reserve(READ);
    while sys::receive(far.as_fd(), &mut said, false).ok()?.bytes > 0 {
        said.reserve(READ);
    }
    Some(said)
}

#[test]
fn the_peer_sees_the_end_of_a_connection_although_the_client_lives() {
    // [ERR-1]
    let pair = || {
        let (near, far) = socket_pair().unwrap();
        (link(near.try_clone().unwrap(), near), far)
    };
    let (mut wronged, far) = pair();
    let key = open(&mut wronged, &ECHO);
    let cancel = Header::new(Kind::Cancel, 1, Flags::NONE, 0);
    sys::send(far.as_fd(), &cancel.to_bytes()).unwrap();
    wronged.answer(key).unwrap();
    let said = all(&far).expect("still open");
    let told = Violation::UnexpectedFrame.to_string();
    assert!(said.ends_with(told.as_bytes()), "{said:?}");

    let (mut left, far) = pair();
    let key = open(&mut left, &ECHO);
    shutdown(far.as_raw_fd(), Shutdown::Write).unwrap();
    left.answer(key).unwrap();
    assert!(all(&far).is_some(), "still open");
}
