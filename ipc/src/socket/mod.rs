//! Listening and connected sockets.

mod accept;
mod bind;
mod connect;
mod directory;
mod inherited;
mod listener;
mod watch;

use std::os::fd::OwnedFd;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use tracing::debug;

pub use accept::AcceptError;
pub(crate) use accept::Accepted;
pub use bind::BindError;
pub(crate) use bind::BindOptions;
pub use connect::ConnectError;
#[cfg(test)]
pub(crate) use connect::{connect, connect_blocking};
pub(crate) use connect::{connect_and_meet, connect_and_meet_blocking};
pub use directory::{DirectoryError, Flaw};
pub use inherited::InheritError;
pub(crate) use listener::Listener;

use crate::sys;

/// Bytes a socket may hold in each direction: the default of Linux is 208 KiB, of macOS 8 KiB (PIPSIZ), which is a system call and
/// a wait per 8 KiB.
const BUFFER: usize = 256 * 1024;

/// Raises the buffers of a socket; what is larger already stays.
fn raise_buffers(socket: &OwnedFd, send: usize, receive: usize) {
    let smaller =
        |current: nix::Result<usize>, wanted| current.is_ok_and(|current| current < wanted);
    let mut result = Ok(());
    if smaller(getsockopt(socket, sockopt::SndBuf), send) {
        result = setsockopt(socket, sockopt::SndBuf, &send);
    }
    if sys::RECEIVERS_HAVE_BUFFERS && smaller(getsockopt(socket, sockopt::RcvBuf), receive) {
        result = result.and_then(|()| setsockopt(socket, sockopt::RcvBuf, &receive));
    }
    // Past kern.ipc.maxsockbuf macOS refuses. A small buffer is slow, not wrong.
    if let Err(errno) = result {
        debug!(%errno, "socket buffers stay as they are");
    }
}

#[cfg(test)]
mod tests;
