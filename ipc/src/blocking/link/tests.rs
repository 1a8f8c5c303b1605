//! A connection whose other end is a bare socket.

use super::*;
use crate::method::Shape;
use crate::sys::socket_pair;
use crate::wire::messages::PeerLimits;
use crate::wire::{Established, Flags, Header, Kind};

static ECHO: Method = Method::new("test.Echo/Echo", Shape::Unary);
static NOTE: Method = Method::new("test.Echo/Note", Shape::OneWay);

/// A connection that reads from a socket and writes to another descriptor.
fn link(socket: OwnedFd, out: impl Into<OwnedFd>) -> Link {
    let limits = Limits::default();
    let established = Established {
        limits: PeerLimits {
            max_frame: 65_536,
            max_message: 65_536,
            max_calls: 1,
            initial_credit: 65_536,
            max_metadata: 1_024,
        },
        services: Vec::new(),
        software: String::new(),
        minor: 0,
        session: bytes::Bytes::new(),
    };
    Link {
        peer: Peer::of(&socket).unwrap(),
        socket: Arc::new(socket),
        core: Core::new(
            Engine::new(Side::Connecting, &limits, &established),
            Writer::Socket(Arc::new(out.into())),
        ),
        input: BytesMut::new(),
        pool: Pool::new(limits.pooled),
        limits,
    }
}

fn open(link: &mut Link, method: &'static Method) -> Key {
    let options = Options {
        timeout: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let (len, write) = (0, &mut |_: &mut BytesMut| ());
    let request = Encode { len, write };
    link.open(method, options, Some(request)).unwrap()
}

fn is_lost(failure: &Failure) -> bool {
    matches!(failure.connection(), Some(ConnectionError::Io(_)))
}

#[test]
fn a_call_is_lost_at_once_when_its_socket_cannot_be_written() {
    let unwritable = || std::fs::File::open("/dev/null").unwrap();
    let (near, far) = socket_pair().unwrap();
    let mut before = link(near.try_clone().unwrap(), unwritable());
    let key = open(&mut before, &NOTE);
    assert!(is_lost(&before.sent(key).unwrap_err()));

    let mut amid = link(near.try_clone().unwrap(), near);
    let key = open(&mut amid, &ECHO);
    amid.core.writer = Some(Writer::Socket(Arc::new(unwritable().into())));
    let ping = Header::new(Kind::Ping, 0, Flags::NONE, 0);
    sys::send(far.as_fd(), &ping.to_bytes()).unwrap();
    let failure = amid.answer(key).unwrap().1.into_failure();
    assert!(is_lost(&failure), "{failure:?}");
}
