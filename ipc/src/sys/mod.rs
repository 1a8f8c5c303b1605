//! The portable face of the kernel: a handful of safe functions. `unsafe` and `cfg(target_os)` end here.

#[cfg(any(target_vendor = "apple", test))]
mod abi;
#[cfg(target_vendor = "apple")]
mod launchd;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_vendor = "apple")]
mod macos;
#[cfg(target_os = "linux")]
mod passing;
mod pieces;
#[cfg(target_os = "linux")]
mod systemd;
mod unix;

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
compile_error!("ipc runs on Linux and macOS");

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_vendor = "apple")]
use macos as os;

use std::os::fd::OwnedFd;

pub(crate) use activation::{activated, listens, show_ourselves};
#[cfg(target_vendor = "apple")]
use launchd as activation;
#[cfg(any(test, feature = "testing"))]
pub(crate) use os::socket_pair;
pub(crate) use os::{
    ACCEPTED_INHERIT_BUFFERS, ADMIN_GROUPS, DIRECTORY, DirectoryWatch, EINVAL_BLAMES_THE_CLIENT,
    PLATFORM, RECEIVERS_HAVE_BUFFERS, SYSTEM_GROUPS, SYSTEM_LINKS, accept, bind, connect,
    console_user, identity, pass_nothing, receive, receive_parts, refuse_descriptors, send,
    send_parts, stream_socket, user_directory,
};
#[cfg(test)]
pub(crate) use os::{LONGEST_ADDRESS, as_user, bind_longest, pass_credentials};
pub(crate) use pieces::{Parts, Pieces};
#[cfg(target_os = "linux")]
use systemd as activation;
pub(crate) use unix::{listen, own_uid, poll, raise_descriptor_limit, random, readable, writable};

/// The systems this crate runs on, as a value, so that decisions about both can be tested on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "a build knows only its own system")
)]
pub(crate) enum Platform {
    Linux,
    Macos,
}

/// What one receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes appended to the buffer; 0 is the end of the stream if there was room.
    pub(crate) bytes: usize,
    /// The peer attached descriptors; they are closed already.
    pub(crate) stray_descriptors: bool,
}

/// What [`poll`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    Either,
}

/// Who the kernel says is at the other end of a socket.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// There are no more groups than these.
    pub(crate) all_groups: bool,
    /// 0 where the kernel does not know.
    pub(crate) pid: i32,
    /// A pidfd; the kernel may be too old, and macOS has none.
    pub(crate) process: Option<OwnedFd>,
    /// Names one run of one program: the pidversion of the audit token. macOS only.
    pub(crate) pid_version: Option<u32>,
    /// The audit session. macOS only.
    pub(crate) session: Option<u32>,
}

/// A listening socket that the service manager made.
#[derive(Debug)]
pub(crate) struct Activated {
    pub(crate) name: String,
    pub(crate) socket: OwnedFd,
}
