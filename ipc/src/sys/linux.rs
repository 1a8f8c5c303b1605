//! Linux: SO_PEERCRED and pidfds, long paths through `/proc/self/fd`, inotify, systemd.
#![expect(unsafe_code, reason = "system calls that nix does not wrap")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::{Mode, SFlag, fchmod, lstat};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, recv};

#[cfg(test)]
pub(crate) use super::passing::pass_credentials;
pub(crate) use super::passing::pass_nothing;
#[cfg(test)]
use super::unix::check;
use super::unix::{OwnsDescriptor, receive_message, send_parts_now, socket_option};
use super::{Identity, Platform, Received};

pub(crate) const PLATFORM: Platform = Platform::Linux;
/// How to open a directory to walk through it: O_PATH needs no permission to read it.
pub(crate) const DIRECTORY: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// Symlinks that are part of the system, and where they lead.
pub(crate) const SYSTEM_LINKS: &[(&str, &str)] = &[("/var/run", "/run")];
/// Groups that may write to a system directory without making it loose.
pub(crate) const SYSTEM_GROUPS: &[u32] = &[];
/// Groups whose members administer the machine; each distribution has one of them.
pub(crate) const ADMIN_GROUPS: &[&str] = &["sudo", "wheel"];
/// A new connection starts with the system's defaults (af_unix.c unix_create1).
pub(crate) const ACCEPTED_INHERIT_BUFFERS: bool = false;
/// What a stream holds counts against its sender alone (af_unix.c unix_stream_sendmsg).
pub(crate) const RECEIVERS_HAVE_BUFFERS: bool = false;
/// accept(2): EINVAL means that the socket does not listen.
pub(crate) const EINVAL_BLAMES_THE_CLIENT: bool = false;

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);
/// Bytes of `sun_path` before its zero byte.
const SUN_PATH: usize = 107;
/// socket(7); the libc crate does not have it.
const SO_PEERGROUPS: libc::c_int = 59;
/// include/uapi/asm-generic/socket.h; the libc crate does not have it.
const SO_PASSRIGHTS: libc::c_int = 83;

#[derive(Clone, Copy, Debug)]
struct PassRights;

nix::setsockopt_impl!(
    PassRights,
    libc::SOL_SOCKET,
    SO_PASSRIGHTS,
    bool,
    sockopt::SetBool
);
nix::getsockopt_impl!(
    PassRights,
    libc::SOL_SOCKET,
    SO_PASSRIGHTS,
    bool,
    sockopt::GetBool
);

/// A new Unix stream socket, non-blocking and closed on exec.
pub(crate) fn stream_socket() -> io::Result<OwnedFd> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    // Before anybody can send: who accepts has time to do so ahead of the handshake, which looks whether it has worked.
    _ = socket::setsockopt(&fd, PassRights, &false);
    Ok(fd)
}

/// Two connected sockets, as [`stream_socket`] makes them.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        FLAGS,
    )?)
}

/// Binds to `path`, which lies in `directory`; only the owner may connect until the mode is widened.
pub(crate) fn bind(
    socket: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    path: &Path,
) -> io::Result<()> {
    // The mode of the descriptor becomes the mode of the name (af_unix.c unix_bind_bsd): no moment with another one.
    fchmod(socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(socket.as_raw_fd(), &address(path, directory)?)?;
    Ok(())
}

/// Connects to `path`; a Unix socket connects at once or not at all.
pub(crate) fn connect(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let directory = match path.as_os_str().len() {
        0..=SUN_PATH => None,
        _ => Some(open(
            parent,
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?),
    };
    let directory = directory.as_ref().map_or(socket, AsFd::as_fd);
    socket::connect(socket.as_raw_fd(), &address(path, directory)?)?;
    Ok(())
}

/// A path that fits is used as it is, so that tmp cleaners and `/proc/net/unix` see the real name.
fn address(path: &Path, directory: BorrowedFd<'_>) -> nix::Result<UnixAddr> {
    if path.as_os_str().len() <= SUN_PATH {
        return UnixAddr::new(path);
    }
    let name = path.file_name().unwrap_or_default();
    UnixAddr::new(
        &Path::new("/proc/self/fd")
            .join(directory.as_raw_fd().to_string())
            .join(name),
    )
}

/// Takes one connection. Asks for no address: it has no authority, and a full-length one confuses its readers.
pub(crate) fn accept(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = socket::accept4(socket.as_raw_fd(), FLAGS)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has the kernel refuse descriptors that the peer sends from now on; `false` before Linux 6.16 (SO_PASSRIGHTS).
pub(crate) fn refuse_descriptors(socket: &OwnedFd) -> bool {
    // Believed only if it is there to be read: some sandboxes take any option. A connection has it from its listener.
    let refuses = || socket::getsockopt(socket, PassRights) == Ok(false);
    refuses() || socket::setsockopt(socket, PassRights, &false).is_ok() && refuses()
}

/// One non-blocking receive into the spare capacity of `buf`; descriptors sent along are closed and reported. Where they are
/// `refused`, none need be looked for: recvmsg costs a fifth of a microsecond more than recv.
#[inline]
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    buf: &mut BytesMut,
    refused: bool,
) -> io::Result<Received> {
    if refused {
        let bytes = receive_bytes(fd, buf)?;
        return Ok(Received {
            bytes,
            stray_descriptors: false,
        });
    }
    receive_parts(fd, [(buf, usize::MAX)])
}

/// [`receive`] into several buffers, one behind the other, and no more than the number that stands with each.
pub(crate) fn receive_parts<const N: usize>(
    fd: BorrowedFd<'_>,
    into: [(&mut BytesMut, usize); N],
) -> io::Result<Received> {
    // Without room for control data the kernel drops descriptors itself and says so (net/core/scm.c scm_detach_fds).
    let message = receive_message(
        fd,
        into,
        &mut [],
        libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
    )?;
    Ok(Received {
        bytes: message.bytes,
        stray_descriptors: message.flags & libc::MSG_CTRUNC != 0,
    })
}

/// Receives into the spare capacity of `buf`, without control data.
fn receive_bytes(fd: BorrowedFd<'_>, buf: &mut BytesMut) -> io::Result<usize> {
    let bytes = retry_on_intr(|| {
        let received = recv(fd, buf.spare_capacity_mut(), RecvFlags::DONTWAIT);
        received.map(|((filled, _), _)| filled.len())
    })?;
    let len = buf.len() + bytes;
    // SAFETY: the kernel wrote `bytes` bytes at the start of the spare capacity.
    unsafe { buf.set_len(len) };
    Ok(bytes)
}

/// One non-blocking send; a peer that is gone is an error, never a signal.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(retry_on_intr(|| rustix::net::send(fd, bytes, flags))?)
}

/// [`send`] of two parts, one behind the other.
pub(crate) fn send_parts(fd: BorrowedFd<'_>, parts: [&[u8]; 2]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    send_parts_now(fd, parts, flags)
}

/// Who is at the other end, as it was when it connected (SO_PEERCRED) or began to listen.
pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let credentials = socket::getsockopt(&fd, sockopt::PeerCredentials)?;
    Ok(Identity {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: peer_groups(fd)?,
        all_groups: true,
        pid: credentials.pid(),
        process: peer_process(fd)?,
        pid_version: None,
        session: None,
    })
}

fn peer_groups(fd: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut bytes = vec![0; 32 * size_of::<u32>()];
    let len = loop {
        match socket_option(fd, libc::SOL_SOCKET, SO_PEERGROUPS, &mut bytes) {
            Ok(len) => break len,
            Err((error, needed))
                if error.raw_os_error() == Some(libc::ERANGE) && needed > bytes.len() =>
            {
                bytes.resize(needed, 0);
            }
            Err((error, _)) => return Err(error),
        }
    };
    let (groups, _) = bytes.get(..len).unwrap_or_default().as_chunks::<4>();
    Ok(groups.iter().copied().map(u32::from_ne_bytes).collect())
}

/// A pidfd of the peer; `None` before Linux 6.5 (SO_PEERPIDFD), and where the peer is gone and the kernel says so.
fn peer_process(fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match socket::getsockopt(&fd, sockopt::PeerPidfd) {
        Ok(process) => Ok(Some(process)),
        Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(errno.into()),
        Err(_) => Ok(None),
    }
}

/// The directory that the system keeps for the sockets of this user, if there is one that nobody else can enter.
pub(crate) fn user_directory() -> io::Result<Option<PathBuf>> {
    let uid = super::own_uid();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = Some(PathBuf::from(format!("/run/user/{uid}")));
    Ok([named, usual]
        .into_iter()
        .flatten()
        .find(|directory| is_private(directory, uid)))
}

fn is_private(directory: &Path, uid: u32) -> bool {
    let private = |stat: nix::sys::stat::FileStat| {
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFDIR && stat.st_uid == uid && stat.st_mode & 0o077 == 0
    };
    directory.is_absolute() && lstat(directory).is_ok_and(private)
}

/// The user who sits at the machine, if systemd-logind knows one.
pub(crate) fn console_user() -> Option<u32> {
    active_uid(&std::fs::read_to_string("/run/systemd/seats/seat0").ok()?)
}

fn active_uid(seat: &str) -> Option<u32> {
    seat.lines()
        .find_map(|line| line.strip_prefix("ACTIVE_UID="))?
        .parse()
        .ok()
}

pub(super) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: `bytes` is writable for its length.
    let rc = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // Up to 256 bytes come whole once the pool is ready: getrandom(2).
    if usize::try_from(rc) == Ok(bytes.len()) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Tells that something happened in a directory.
#[derive(Debug)]
pub(crate) struct DirectoryWatch(Inotify);

impl DirectoryWatch {
    /// Starts to watch; readable once something happened.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(directory, events)?;
        Ok(Self(inotify))
    }

    /// Forgets what happened so far; `WouldBlock` if nothing did.
    pub(crate) fn drain(&self) -> io::Result<()> {
        self.0.read_events()?;
        Ok(())
    }
}

impl OwnsDescriptor for DirectoryWatch {}

impl AsRawFd for DirectoryWatch {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Bytes of `sun_path`, without the zero byte that the kernel does not need (af_unix.c unix_mkname_bsd).
#[cfg(test)]
pub(crate) const LONGEST_ADDRESS: usize = 108;

/// Binds to a path of exactly that many bytes, which the kernel will report with one more.
#[cfg(test)]
pub(crate) fn bind_longest(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let mut address = libc::sockaddr_un {
        sun_family: 1,
        sun_path: [0; LONGEST_ADDRESS],
    };
    for (to, from) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
        *to = *from as libc::c_char;
    }
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `socket` is open; `address` is readable for `len` bytes.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
}

/// Runs `work` in a thread of another user; the rest of the process stays who it is.
#[cfg(test)]
pub(crate) fn as_user<T: Send>(uid: u32, groups: &[u32], work: impl FnOnce() -> T + Send) -> T {
    let change = |call: libc::c_long, arguments: [usize; 3]| {
        // The system call itself, not the library's: that would change every thread.
        // SAFETY: the arguments are ids, or a length and a pointer to that many ids.
        let rc = unsafe { libc::syscall(call, arguments[0], arguments[1], arguments[2]) };
        check(i32::try_from(rc).unwrap()).unwrap();
    };
    let thread = || {
        change(
            libc::SYS_setgroups,
            [groups.len(), groups.as_ptr() as usize, 0],
        );
        change(libc::SYS_setresgid, [uid as usize; 3]);
        change(libc::SYS_setresuid, [uid as usize; 3]);
        work()
    };
    std::thread::scope(|scope| scope.spawn(thread).join().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_user_of_the_seat_is_read() {
        let seat = "# private\nIS_SEAT0=1\nACTIVE=c2\nACTIVE_UID=1000\nSESSIONS=c2\n";
        assert_eq!(active_uid(seat), Some(1000));
        assert_eq!(active_uid("IS_SEAT0=1\n"), None);
        assert_eq!(active_uid("ACTIVE_UID=\n"), None);
    }

    #[test]
    fn a_runtime_directory_others_can_enter_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let uid = super::super::own_uid();
        let set = |mode| {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode))
                .unwrap();
        };
        set(0o700);
        assert!(is_private(directory.path(), uid));
        assert!(!is_private(directory.path(), uid + 1));
        set(0o710);
        assert!(!is_private(directory.path(), uid));
        assert!(!is_private(Path::new("relative"), uid));
    }
}
