//! Who is at the other end of a socket.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use crate::sync::Arc;
use crate::sys::{self, Identity};

/// The process at the other end, as the kernel tells it; never as the process itself does.
///
/// A `Peer` always has an identity: where the kernel gives none there is an error and no `Peer`.
#[derive(Clone)]
pub struct Peer(Arc<Identity>);

/// Why the kernel's word about a peer could not be had. Such a peer is to be dropped.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The socket is not connected, or its peer lives where this process cannot see it.
    #[error("the kernel does not tell who is at the other end")]
    Unidentified,
    /// Asking failed; on macOS also because the peer has left.
    #[error("the identity of the peer cannot be read")]
    Unreadable(#[source] io::Error),
}

impl PeerError {
    /// Whether the peer has left, which macOS says as ENOTCONN, or EINVAL once its process is gone (xnu uipc_usrreq.c uipc_ctloutput).
    pub(crate) fn is_gone(&self) -> bool {
        let Self::Unreadable(error) = self else {
            return false;
        };
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        matches!(errno, Errno::ENOTCONN | Errno::EINVAL)
    }
}

impl Peer {
    /// Asks the kernel who is at the other end of a connected Unix socket.
    ///
    /// # Errors
    ///
    /// [`PeerError`], if the kernel does not say. Drop the connection then.
    ///
    /// # Security
    ///
    /// User and groups are those of connect (SO_PEERCRED, LOCAL_PEERCRED). Seen from the connecting side they are those of the process
    /// that called `listen`: under systemd's activation the service manager, not the daemon. On macOS a daemon of another user than
    /// launchd's calls it again; there the process is the one that last touched the socket, and has to be of the same user.
    pub fn of(socket: impl AsFd) -> Result<Self, PeerError> {
        let identity = sys::identity(socket.as_fd()).map_err(PeerError::Unreadable)?;
        // An unconnected socket "has" pid 0 and the overflow uid, without an error (unix(7), SO_PEERCRED).
        if identity.pid == 0 {
            return Err(PeerError::Unidentified);
        }
        Ok(Self(Arc::new(identity)))
    }

    /// The effective user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// The effective group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.0.gid
    }

    /// The supplementary groups; macOS tells at most 16, the effective one among them.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        &self.0.groups
    }

    /// The process id, for logs.
    ///
    /// # Security
    ///
    /// Never an authority: the process may be gone and its number in use by another.
    #[must_use]
    pub fn informational_pid(&self) -> Option<i32> {
        (self.0.pid > 0).then_some(self.0.pid)
    }

    /// A pidfd of the process, which no other process can take over; `None` before Linux 6.5 (SO_PEERPIDFD) and on macOS.
    #[must_use]
    pub fn process(&self) -> Option<BorrowedFd<'_>> {
        self.0.process.as_ref().map(AsFd::as_fd)
    }

    /// The audit session, which tells two logins of one user apart. macOS only.
    #[must_use]
    pub fn session(&self) -> Option<u32> {
        self.0.session
    }

    /// `None` if it cannot be known, because the kernel may not have told all groups.
    pub(crate) fn is_member_of(&self, gid: u32) -> Option<bool> {
        let told = self.gid() == gid || self.groups().contains(&gid);
        (told || self.0.all_groups).then_some(told)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = &*self.0;
        let mut text = f.debug_struct("Peer");
        text.field("uid", &identity.uid)
            .field("gid", &identity.gid)
            .field("groups", &identity.groups);
        text.field("pid", &identity.pid)
            .field("has_pidfd", &identity.process.is_some());
        if let Some(version) = identity.pid_version {
            text.field("pid_version", &version)
                .field("session", &identity.session);
        }
        text.finish()
    }
}

#[cfg(test)]
impl Peer {
    /// A peer that no kernel vouches for.
    pub(crate) fn invented(uid: u32, gid: u32, groups: &[u32]) -> Self {
        Self::with(uid, gid, groups, true)
    }

    /// The same, with groups that the kernel had no room for.
    pub(crate) fn with_more_groups(uid: u32, gid: u32, groups: &[u32]) -> Self {
        Self::with(uid, gid, groups, false)
    }

    fn with(uid: u32, gid: u32, groups: &[u32], all_groups: bool) -> Self {
        let identity = Identity {
            uid,
            gid,
            groups: groups.to_vec(),
            all_groups,
            pid: 1,
            process: None,
            pid_version: None,
            session: None,
        };
        Self(Arc::new(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_of_a_pair_is_this_process() {
        let (left, _right) = sys::socket_pair().unwrap();
        let peer = Peer::of(&left).unwrap();
        assert_eq!(peer.uid(), sys::own_uid());
        assert_eq!(peer.gid(), nix::unistd::getegid().as_raw());
        assert_eq!(
            peer.informational_pid(),
            Some(std::process::id().try_into().unwrap())
        );
    }

    #[test]
    fn an_unconnected_socket_has_no_peer() {
        let socket = sys::stream_socket().unwrap();
        assert!(Peer::of(&socket).is_err());
    }

    #[test]
    fn something_that_is_not_a_socket_has_no_peer() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(Peer::of(&file), Err(PeerError::Unreadable(_))));
    }

    #[test]
    fn the_identity_outlives_the_other_end() {
        let (left, right) = sys::socket_pair().unwrap();
        drop(right);
        // Linux tells it for ever, macOS refuses: never another identity.
        assert!(
            Peer::of(&left).is_ok_and(|peer| peer.uid() == sys::own_uid())
                || sys::PLATFORM == sys::Platform::Macos
        );
    }
}
