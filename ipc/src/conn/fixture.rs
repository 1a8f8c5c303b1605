//! A connection for tests, whose peer is bytes in memory.

use bytes::{Bytes, BytesMut};

use super::io::{Reader, Writer};
use super::memory::{MemoryEnd, Split, stream};
use super::{Arrived, Connection, Dispatch, Setup, Task};
use crate::limits::Limits;
use crate::peer::Peer;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::wire::messages::{CallHead, PeerLimits};
use crate::wire::{Body, Established, Flags, Header, Kind, Open, Side};

/// Serves nothing, for a peer that calls nothing.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Dispatch for Nobody {
    fn run(&self, _: &Arc<Connection>, arrived: Arrived) {
        panic!("{arrived:?}");
    }
}

pub(crate) fn peer() -> Peer {
    let (socket, _other) = crate::sys::socket_pair().unwrap();
    Peer::of(&socket).unwrap()
}

/// A call without a deadline: with an empty message that is its last, or open for some.
pub(crate) fn opening(end: bool) -> Open<'static> {
    Open {
        head: CallHead::default(),
        body: end.then(|| Body::Bytes(Bytes::new())),
        end,
        one_way: false,
        deadline: None,
    }
}

/// A connection, its task, and the peer's end of the stream.
pub(crate) fn connection(
    peer: &Peer,
    credit: u32,
    dispatch: Arc<dyn Dispatch>,
    limits: Limits,
) -> (Arc<Connection>, Task, MemoryEnd) {
    let (near, far) = stream(Split::Whole);
    let near = Arc::new(near);
    let writer = Writer::Memory(Arc::clone(&near));
    let (connection, task) = over(
        Reader::Memory(near),
        writer,
        setup(peer, dispatch, limits),
        credit,
    );
    (connection, task, far)
}

pub(crate) fn setup(peer: &Peer, dispatch: Arc<dyn Dispatch>, limits: Limits) -> Setup {
    Setup {
        side: Side::Connecting,
        limits,
        peer: peer.clone(),
        dispatch,
        pool: Pool::new(limits.pooled),
        complaints: Arc::default(),
    }
}

/// A connection over any stream, to a peer that gives so much credit and takes three calls.
pub(crate) fn over(
    reader: Reader,
    writer: Writer,
    setup: Setup,
    credit: u32,
) -> (Arc<Connection>, Task) {
    let established = Established {
        limits: PeerLimits {
            max_frame: 65_536,
            max_message: 1 << 20,
            max_calls: 3,
            initial_credit: credit,
            max_metadata: 0,
        },
        ..Established::default()
    };
    let connection = Connection::new(writer, setup, &established);
    let task = Task::new(Arc::clone(&connection), reader, BytesMut::new());
    (connection, task)
}

pub(crate) fn frame(call: u32, kind: Kind, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let mut bytes = Header::new(kind, call, flags, len).to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}
