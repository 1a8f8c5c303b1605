//! macOS: credentials and audit token, long paths in an oversized address.
//!
//! Not run yet on a Mac: what decides anything is in `abi.rs`, which is tested everywhere; here are the calls.
#![expect(unsafe_code, reason = "system calls that nix does not wrap")]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType};
use nix::sys::stat::{Mode, umask};

use super::abi::{AuditToken, BIND_UMASK, Credentials, OversizedAddress, descriptors};
use super::unix::{
    OwnsDescriptor, check, receive_message, send_parts_now, set_nonblocking, socket_option,
};
use super::{Identity, Platform, Received};

pub(crate) const PLATFORM: Platform = Platform::Macos;
/// How to open a directory to walk through it.
pub(crate) const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// Symlinks that are part of the system, and where they lead.
pub(crate) const SYSTEM_LINKS: &[(&str, &str)] =
    &[("/var", "/private/var"), ("/tmp", "/private/tmp")];
/// Groups that may write to a system directory without making it loose: /var/run is root:daemon 0775.
pub(crate) const SYSTEM_GROUPS: &[u32] = &[0, 1];
/// Groups whose members administer the machine.
pub(crate) const ADMIN_GROUPS: &[&str] = &["admin"];
/// A new connection copies the listener's buffers, and setting them later fails once the client has left (xnu sosetoptlock).
pub(crate) const ACCEPTED_INHERIT_BUFFERS: bool = true;
/// What is sent waits in the receiver's buffer (xnu uipc_usrreq.c uipc_send).
pub(crate) const RECEIVERS_HAVE_BUFFERS: bool = true;
/// A client that left at the wrong moment shows as EINVAL.
pub(crate) const EINVAL_BLAMES_THE_CLIENT: bool = true;

const _: () = assert!(size_of::<libc::sockaddr_un>() == 106);
const _: () = assert!(size_of::<libc::xucred>() == Credentials::BYTES);
const _: () = assert!(size_of::<libc::sockaddr_storage>() == 128);
const _: () = assert!(size_of::<libc::cmsghdr>() == 12);

/// UIPC_MAX_CMSG_FD descriptors and a header, in words: with less room the rest would leak (xnu soreceive_ctl).
const CONTROL_WORDS: usize = 3 + 512;

/// A new Unix stream socket: non-blocking, closed on exec, and no signal when the peer is gone.
pub(crate) fn stream_socket() -> io::Result<OwnedFd> {
    let fd = socket::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::empty(),
        None,
    )?;
    prepare(&fd)?;
    Ok(fd)
}

/// Two connected sockets, as [`stream_socket`] makes them.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (left, right) = socket::socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::empty(),
    )?;
    prepare(&left)?;
    prepare(&right)?;
    Ok((left, right))
}

pub(super) fn prepare(fd: &OwnedFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    set_nonblocking(fd)?;
    let on: libc::c_int = 1;
    let (value, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    // SAFETY: `fd` is open; `value` points to `len` readable bytes.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NOSIGPIPE,
            value,
            len,
        )
    };
    check(rc).map(drop)
}

/// Binds to `path`; only the owner may connect until the mode is widened.
pub(crate) fn bind(
    socket: BorrowedFd<'_>,
    _directory: BorrowedFd<'_>,
    path: &Path,
) -> io::Result<()> {
    // fchmod refuses a socket here (xnu fchmod1), and the umask belongs to the process: one bind at a time.
    static UMASK: Mutex<()> = Mutex::new(());
    let (address, len) = address(path)?;
    let _alone = UMASK.lock().unwrap_or_else(PoisonError::into_inner);
    let before = umask(Mode::from_bits_truncate(BIND_UMASK));
    // SAFETY: `socket` is open; `address` is readable for `len` bytes.
    let rc = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    let result = check(rc).map(drop);
    umask(before);
    result
}

/// Connects to `path`; a Unix socket connects at once or not at all.
pub(crate) fn connect(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (address, len) = address(path)?;
    // SAFETY: `socket` is open; `address` is readable for `len` bytes.
    let rc = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
    check(rc).map(drop)
}

fn address(path: &Path) -> io::Result<(OversizedAddress, libc::socklen_t)> {
    let family = u8::try_from(libc::AF_UNIX).unwrap_or_default();
    let (address, len) =
        OversizedAddress::new(family, path.as_os_str().as_bytes()).ok_or(Errno::ENAMETOOLONG)?;
    Ok((address, len.into()))
}

/// Takes one connection. Asks for no address: it has no authority, and a full-length one confuses its readers.
///
/// The connection inherits O_NONBLOCK, SO_NOSIGPIPE and the buffers of the listener.
pub(crate) fn accept(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = socket::accept(socket.as_raw_fd())?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// Has the kernel refuse descriptors; this one cannot.
pub(crate) const fn refuse_descriptors(_socket: &OwnedFd) -> bool {
    false
}

/// Has the kernel pass nothing beside the bytes; launchd asks for nothing of the kind.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same on every system; on Linux it can fail"
)]
pub(crate) const fn pass_nothing(_socket: &OwnedFd) -> io::Result<bool> {
    Ok(false)
}

/// One non-blocking receive into the spare capacity of `buf`; descriptors sent along are closed and reported.
#[inline]
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    buf: &mut BytesMut,
    _refused: bool,
) -> io::Result<Received> {
    receive_parts(fd, [(buf, usize::MAX)])
}

/// [`receive`] into several buffers, one behind the other, and no more than the number that stands with each.
pub(crate) fn receive_parts<const N: usize>(
    fd: BorrowedFd<'_>,
    into: [(&mut BytesMut, usize); N],
) -> io::Result<Received> {
    let mut control = [0; CONTROL_WORDS];
    let message = receive_message(fd, into, &mut control, libc::MSG_DONTWAIT)?;
    if message.control_bytes == 0 && message.flags & libc::MSG_CTRUNC == 0 {
        return Ok(Received {
            bytes: message.bytes,
            stray_descriptors: false,
        });
    }
    let control: Vec<u8> = control
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .collect();
    for stray in descriptors(control.get(..message.control_bytes).unwrap_or(&control)) {
        close(stray);
    }
    Ok(Received {
        bytes: message.bytes,
        stray_descriptors: true,
    })
}

fn close(fd: RawFd) {
    // SAFETY: the kernel has just put this descriptor into our table, and nobody else has seen it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// One non-blocking send; SO_NOSIGPIPE keeps a peer that is gone from being a signal.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket::send(fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// [`send`] of two parts, one behind the other.
pub(crate) fn send_parts(fd: BorrowedFd<'_>, parts: [&[u8]; 2]) -> io::Result<usize> {
    send_parts_now(fd, parts, MsgFlags::MSG_DONTWAIT)
}

/// Who is at the other end: user and groups as of connect (LOCAL_PEERCRED), the rest as of now (LOCAL_PEERTOKEN, macOS 11).
pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let credentials: [u8; Credentials::BYTES] = local_option(fd, libc::LOCAL_PEERCRED)?;
    let token: [u8; AuditToken::BYTES] = local_option(fd, libc::LOCAL_PEERTOKEN)?;
    let token = AuditToken::decode(&token);
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let credentials =
        Credentials::decode(&credentials).ok_or_else(|| wrong("xucred of an unknown shape"))?;
    if token.effective_uid() != credentials.uid {
        return Err(wrong(
            "another user's process holds the socket than the one that connected",
        ));
    }
    Ok(Identity {
        uid: credentials.uid,
        gid: credentials.gid,
        all_groups: credentials.all_groups(),
        groups: credentials.groups,
        pid: i32::try_from(token.pid()).unwrap_or(0),
        process: None,
        pid_version: Some(token.pid_version()),
        session: Some(token.session()),
    })
}

fn local_option<const N: usize>(fd: BorrowedFd<'_>, name: libc::c_int) -> io::Result<[u8; N]> {
    let mut value = [0; N];
    match socket_option(fd, libc::SOL_LOCAL, name, &mut value) {
        Ok(len) if len == N => Ok(value),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "peer identity of an unknown size",
        )),
        Err((error, _)) => Err(error),
    }
}

/// `confstr(_CS_DARWIN_USER_TEMP_DIR)`: private to the user, and the same for each of the user's processes.
pub(crate) fn user_directory() -> io::Result<Option<PathBuf>> {
    let mut path = vec![0_u8; 1024];
    // SAFETY: `path` is writable for its length.
    let len = unsafe {
        libc::confstr(
            libc::_CS_DARWIN_USER_TEMP_DIR,
            path.as_mut_ptr().cast(),
            path.len(),
        )
    };
    if len == 0 {
        return Err(io::Error::last_os_error());
    }
    path.truncate(len.saturating_sub(1)); // without its zero byte
    Ok(Some(PathBuf::from(OsString::from_vec(path))))
}

/// The user who sits at the machine: the owner of the console, which is root while nobody does.
pub(crate) fn console_user() -> Option<u32> {
    let uid = nix::sys::stat::stat("/dev/console").ok()?.st_uid;
    (uid != 0).then_some(uid)
}

pub(super) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: `bytes` is writable for its length.
    let rc = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) };
    check(rc).map(drop)
}

/// Watching a directory needs no descriptor here: the listener looks at its path from time to time instead.
#[derive(Debug)]
pub(crate) struct DirectoryWatch(OwnedFd);

impl DirectoryWatch {
    pub(crate) fn new(_directory: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn drain(&self) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl OwnsDescriptor for DirectoryWatch {}

impl AsRawFd for DirectoryWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Bytes the kernel takes in an oversized address.
#[cfg(test)]
pub(crate) const LONGEST_ADDRESS: usize = 253;

/// Binds to a path of that many bytes.
#[cfg(test)]
pub(crate) fn bind_longest(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    bind(socket, socket, path)
}

/// Has the kernel pass the sender's credentials.
#[cfg(test)]
pub(crate) fn pass_credentials(_socket: &OwnedFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Runs `work` in a thread of another user.
#[cfg(test)]
pub(crate) fn as_user<T: Send>(_uid: u32, _groups: &[u32], _work: impl FnOnce() -> T + Send) -> T {
    panic!("not written for macOS: pthread_setugid_np would do")
}
