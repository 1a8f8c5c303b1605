//! A peer that is only bytes, and the daemon it tries its luck with.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use ipc::wire::messages::{CallHead, Confirm, End, GoAway, Hello, PeerLimits, Welcome};
use ipc::wire::{Flags, HEADER_LEN, Header, Kind};
use ipc::{Client, Limits, Method};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use prost::Message;
use tokio::runtime::{Builder, Runtime};

use crate::support::*;

pub(crate) const PREFACE: [u8; 8] = *b"\x8dIPC\r\n\x01\0";

/// A daemon with a well-behaved client, in a runtime of its own.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) daemon: Daemon,
    healthy: Client,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let entered = runtime.enter();
        let daemon = Daemon::start_with(|server| server.limits(limits));
        drop(entered);
        let healthy = runtime.block_on(daemon.connect());
        Self {
            runtime,
            daemon,
            healthy,
        }
    }

    /// A peer that has said nothing yet.
    pub(crate) fn stranger(&self) -> Raw {
        Raw::new(UnixStream::connect(self.daemon.path.as_path()).unwrap())
    }

    /// A peer after its handshake.
    pub(crate) fn peer(&self) -> Raw {
        self.peer_with(generous())
    }

    pub(crate) fn peer_with(&self, limits: PeerLimits) -> Raw {
        let mut peer = self.stranger();
        peer.greet(limits);
        let welcome = peer.welcomed();
        peer.confirm(welcome.nonce);
        peer
    }

    /// The well-behaved client notices nothing.
    pub(crate) fn is_unharmed(&self) {
        // [ERR-2]
        self.runtime.block_on(async {
            let answer = soon(self.healthy.unary(ECHO, text("well")).into_future()).await;
            let answer: Text = answer.unwrap();
            assert_eq!(answer.text, "well");
        });
    }
}

/// What most peers here announce.
pub(crate) fn generous() -> PeerLimits {
    PeerLimits {
        max_frame: 65_536,
        max_message: 4 << 20,
        max_calls: 256,
        initial_credit: 262_144,
        max_metadata: 8_192,
    }
}

/// A socket, and frames made by hand.
pub(crate) struct Raw {
    pub(crate) socket: UnixStream,
}

/// One frame as it came.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) header: Header,
    pub(crate) payload: Bytes,
}

impl Raw {
    pub(crate) fn new(socket: UnixStream) -> Self {
        // Reaching it means that something is broken.
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).unwrap();
        socket.set_write_timeout(patience).unwrap();
        Self { socket }
    }

    /// Sends bytes; whether they arrive is for the other side to decide.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        match self.socket.write_all(bytes) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nobody reads"),
            Err(_) => false,
        }
    }

    pub(crate) fn frame(&mut self, kind: Kind, call: u32, flags: Flags, payload: &[u8]) -> bool {
        self.send(&frame(kind, call, flags, payload))
    }

    pub(crate) fn greet(&mut self, limits: PeerLimits) {
        self.send(&greeting(limits));
    }

    pub(crate) fn preface(&mut self) {
        let mut preface = [0; 8];
        self.socket.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
    }

    pub(crate) fn welcomed(&mut self) -> Welcome {
        self.preface();
        let came = self.next().unwrap();
        assert_eq!(came.header.kind, Kind::Welcome);
        Welcome::decode(came.payload).unwrap()
    }

    pub(crate) fn confirm(&mut self, nonce: Bytes) {
        let confirm = Confirm { nonce }.encode_to_vec();
        self.frame(Kind::Confirm, 0, Flags::NONE, &confirm);
    }

    /// Sends bytes with a descriptor attached, and gives the other end of that; `None` if the
    /// kernel refuses, because the receiver has told it to.
    pub(crate) fn attach(&self, bytes: &[u8]) -> Option<UnixStream> {
        let (kept, given) = UnixStream::pair().unwrap();
        let fds = [given.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        let data = [IoSlice::new(bytes)];
        let socket = self.socket.as_raw_fd();
        match sendmsg::<()>(socket, &data, &control, MsgFlags::empty(), None) {
            Err(Errno::EPERM) => None,
            sent => sent.map(|_| Some(kept)).unwrap(),
        }
    }

    /// Calls a method with a whole request.
    pub(crate) fn call(&mut self, id: u32, method: &Method, request: &Text) -> bool {
        self.send(&call(id, method, request))
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Came> {
        let mut header = [0; HEADER_LEN];
        if !self.fill(&mut header) {
            return None;
        }
        let header = Header::parse(&header);
        let mut payload = vec![0; header.len as usize];
        self.fill(&mut payload).then(|| Came {
            header,
            payload: payload.into(),
        })
    }

    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match self.socket.read_exact(buffer) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the peer says nothing"),
            Err(_) => false,
        }
    }

    /// The next frame of a kind, without those before it.
    pub(crate) fn until(&mut self, kind: Kind) -> Came {
        loop {
            let came = self.next().expect("the connection ended");
            if came.header.kind == kind {
                return came;
            }
        }
    }

    /// How a call ended.
    pub(crate) fn ended(&mut self, id: u32) -> End {
        let came = self.until(Kind::End);
        assert_eq!(came.header.call, id);
        End::decode(came.payload).unwrap()
    }

    /// The answer of a unary call.
    pub(crate) fn answered(&mut self, id: u32) -> Text {
        let came = self.until(Kind::Message);
        assert_eq!((came.header.call, came.header.flags), (id, Flags::END));
        Text::decode(came.payload).unwrap()
    }

    /// The code with which the connection is closed, by GOAWAY and by the end of the stream.
    pub(crate) fn closed_with(&mut self) -> u32 {
        // [ERR-1]
        let away = GoAway::decode(self.until(Kind::GoAway).payload).unwrap();
        // [GOA-9]
        assert!(self.next().is_none(), "nothing follows it");
        assert!(!away.message.is_empty());
        away.code
    }
}

/// The preface and HELLO.
pub(crate) fn greeting(limits: PeerLimits) -> Vec<u8> {
    let hello = Hello {
        limits: Some(limits),
        software: "raw".into(),
        ..Hello::default()
    };
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(Kind::Hello, 0, Flags::NONE, &hello.encode_to_vec()));
    bytes
}

pub(crate) fn frame(kind: Kind, call: u32, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let mut bytes = Header::new(kind, call, flags, len).to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn call(id: u32, method: &Method, request: &Text) -> Vec<u8> {
    let head = CallHead {
        method: method.id(),
        body: Some(request.encode_to_vec().into()),
        ..CallHead::default()
    };
    frame(Kind::Call, id, Flags::END, &head.encode_to_vec())
}

/// The CALL of a method whose messages follow.
pub(crate) fn open(id: u32, method: &Method) -> Vec<u8> {
    let head = CallHead {
        method: method.id(),
        ..CallHead::default()
    };
    frame(Kind::Call, id, Flags::NONE, &head.encode_to_vec())
}
