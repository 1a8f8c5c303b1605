//! The byte stream below a connection: a socket, or two queues in memory.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::unix::AsyncFd;

#[cfg(any(test, feature = "testing"))]
use super::memory::MemoryEnd;
use crate::sync::Arc;
use crate::sys::{self, Received};
use crate::wire::Target;

/// The writing side, shared by all who call.
#[derive(Debug)]
pub(crate) enum Writer {
    Socket(Arc<OwnedFd>),
    #[cfg(any(test, feature = "testing"))]
    Memory(Arc<MemoryEnd>),
}

/// The reading side, owned by the connection's task.
///
/// The socket is registered for reading only: a Unix socket reports itself writable each
/// time the peer takes data, which would wake this task twice for every call.
#[derive(Debug)]
pub(crate) enum Reader {
    Socket {
        socket: AsyncFd<Arc<OwnedFd>>,
        /// The kernel does not let the peer attach descriptors any more.
        refuses: bool,
    },
    #[cfg(any(test, feature = "testing"))]
    Memory(Arc<MemoryEnd>),
}

/// Waits until a blocked write may go on; exists only while there is one.
#[derive(Debug)]
pub(crate) enum Writable {
    /// A duplicate of the descriptor, because one may be registered once only.
    Socket(AsyncFd<OwnedFd>),
    #[cfg(any(test, feature = "testing"))]
    Memory(Arc<MemoryEnd>),
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Bytes were added, and there may be more.
    More,
    /// Bytes were added, and for now that was all.
    Drained,
    /// Nothing is there now.
    Empty,
    /// The peer has closed its direction.
    Eof,
    /// Descriptors came along; the kernel or `sys` has closed them.
    Descriptors,
}

pub(crate) fn open(writer: Arc<OwnedFd>) -> io::Result<(Reader, Writer)> {
    let refuses = sys::refuse_descriptors(&writer);
    let socket = sys::readable(Arc::clone(&writer))?;
    Ok((Reader::Socket { socket, refuses }, Writer::Socket(writer)))
}

impl Writer {
    /// Writes what there is room for.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => sys::send(socket.as_fd(), bytes),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => end.send(bytes),
        }
    }

    /// [`Self::send`] of two parts, one behind the other.
    pub(crate) fn send_parts(&self, parts: [&[u8]; 2]) -> io::Result<usize> {
        match (self, parts) {
            (_, [part, []] | [[], part]) => self.send(part),
            (Self::Socket(socket), parts) => sys::send_parts(socket.as_fd(), parts),
            #[cfg(any(test, feature = "testing"))]
            (Self::Memory(_), [part, _]) => self.send(part),
        }
    }

    /// Ends both directions. The descriptor may live on with those who hold the connection,
    /// but the peer sees the end now.
    pub(crate) fn close(&self) {
        match self {
            Self::Socket(socket) => {
                if let Err(error) = shutdown(socket.as_raw_fd(), Shutdown::Both) {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "socket was closed before"
                    );
                }
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => end.close(),
        }
    }

    pub(crate) fn writable(&self) -> io::Result<Writable> {
        Ok(match self {
            Self::Socket(socket) => {
                let copy = socket.try_clone()?;
                Writable::Socket(sys::writable(copy)?)
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => Writable::Memory(Arc::clone(end)),
        })
    }
}

impl Writable {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(socket) => {
                ready!(socket.poll_write_ready(cx))?.clear_ready();
                Poll::Ready(Ok(()))
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => end.poll_writable(cx),
        }
    }
}

impl Reader {
    /// Reads once, by `read`, which is one of the others here, waiting for the first byte.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&Self) -> io::Result<Read>,
    ) -> Poll<io::Result<Read>> {
        loop {
            let mut guard = match self {
                Self::Socket { socket, .. } => ready!(socket.poll_read_ready(cx))?,
                #[cfg(any(test, feature = "testing"))]
                Self::Memory(end) => return end.poll_readable(cx).map(|()| read(self)),
            };
            let read = read(self)?;
            if matches!(read, Read::Drained | Read::Empty) {
                guard.clear_ready();
            }
            if read != Read::Empty {
                return Poll::Ready(Ok(read));
            }
        }
    }

    /// Reads once into the spare room of `buffer`, without waiting.
    pub(crate) fn try_read(&self, buffer: &mut BytesMut) -> io::Result<Read> {
        match self {
            Self::Socket { socket, refuses } => receive(socket.get_ref(), buffer, *refuses),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => Ok(end.try_read(buffer, usize::MAX)),
        }
    }

    /// [`Self::try_read`] in a handshake: the peer may have attached descriptors before the
    /// kernel was told to refuse them. What comes behind the handshake is younger.
    pub(crate) fn try_first(&self, buffer: &mut BytesMut) -> io::Result<Read> {
        match self {
            Self::Socket { socket, .. } => receive(socket.get_ref(), buffer, false),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => Ok(end.try_read(buffer, usize::MAX)),
        }
    }

    /// [`Self::try_read`] of the rest of a chunk, and up to `ahead` bytes behind it into `buffer`.
    pub(crate) fn try_fill(
        &self,
        target: &mut Target,
        buffer: &mut BytesMut,
        ahead: usize,
    ) -> io::Result<Read> {
        let left = target.left();
        match self {
            Self::Socket { socket, .. } => {
                let room = left.saturating_add(ahead);
                judge(room, || {
                    let into = [(&mut target.bytes, left), (&mut *buffer, ahead)];
                    sys::receive_parts(socket.get_ref().as_fd(), into)
                })
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(end) => Ok(end.try_read(&mut target.bytes, left)),
        }
    }
}

/// Reads once into the spare room of `buffer`, without waiting.
pub(crate) fn receive(
    socket: &Arc<OwnedFd>,
    buffer: &mut BytesMut,
    refuses: bool,
) -> io::Result<Read> {
    let room = buffer.capacity() - buffer.len();
    judge(room, || sys::receive(socket.as_fd(), buffer, refuses))
}

/// A read that leaves room has drained the socket: a Unix stream read stops early only
/// where descriptors are attached (unix_stream_read_generic), and those end the connection.
fn judge(room: usize, mut receive: impl FnMut() -> io::Result<Received>) -> io::Result<Read> {
    loop {
        return match receive() {
            Ok(received) if received.stray_descriptors => Ok(Read::Descriptors),
            Ok(received) if received.bytes == 0 => Ok(Read::Eof),
            Ok(received) if received.bytes < room => Ok(Read::Drained),
            Ok(_) => Ok(Read::More),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Empty),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use crate::handshake::tests::given_descriptors;

    #[tokio::test]
    async fn descriptors_are_found_by_a_reader_whose_kernel_does_not_refuse_them() {
        // [TRN-3]
        let (near, _far) = given_descriptors(b"frame");
        let socket = sys::readable(Arc::new(near)).unwrap();
        let refuses = false;
        let reader = Reader::Socket { socket, refuses };
        let mut buffer = BytesMut::with_capacity(64);
        let mut read = |reader: &Reader| reader.try_read(&mut buffer);
        let read = std::future::poll_fn(|cx| reader.poll_read(cx, &mut read)).await;
        assert_eq!(read.unwrap(), Read::Descriptors);
    }
}
