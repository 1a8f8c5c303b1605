//! What Linux and macOS share.
#![expect(unsafe_code, reason = "system calls that nix does not wrap")]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname,
    getsockopt, sendmsg, sockopt,
};
use tokio::io::unix::AsyncFd;

use super::Interest;

/// The effective uid of this process.
pub(crate) fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Raises the soft limit of open descriptors to the hard one, and returns what it is then.
///
/// macOS refuses more than OPEN_MAX even where the hard limit is higher (setrlimit(2)).
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let resource = Resource::RLIMIT_NOFILE;
    let (soft, hard) = getrlimit(resource)?;
    let mut wanted = [hard, hard.min(OPEN_MAX)]
        .into_iter()
        .filter(|limit| *limit > soft);
    let raised = wanted.find(|limit| setrlimit(resource, *limit, hard).is_ok());
    Ok(raised.unwrap_or(soft))
}

/// `OPEN_MAX` of macOS (sys/syslimits.h).
const OPEN_MAX: u64 = 10_240;

/// A type that owns one descriptor for as long as it lives, and names no other.
pub(crate) trait OwnsDescriptor: AsRawFd {}

impl OwnsDescriptor for OwnedFd {}
impl OwnsDescriptor for Arc<OwnedFd> {}

/// Registers a descriptor with the runtime for reading only: nobody is woken because it can be written.
///
/// Panics outside a runtime with an IO driver.
pub(crate) fn readable<T: OwnsDescriptor>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `owner` keeps its one descriptor open, and moves into the `AsyncFd`.
    let registered =
        unsafe { AsyncFd::register_with_interest(owner, tokio::io::Interest::READABLE) };
    Ok(registered?)
}

/// Registers a descriptor with the runtime for writing only; see [`readable`].
pub(crate) fn writable(owner: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `owner` keeps its one descriptor open, and moves into the `AsyncFd`.
    let registered =
        unsafe { AsyncFd::register_with_interest(owner, tokio::io::Interest::WRITABLE) };
    Ok(registered?)
}

/// Waits until `fd` is ready, or has failed, or `timeout` has passed.
///
/// `false` says only that it is not ready yet: a signal may have come first, so look at the clock before asking again.
pub(crate) fn poll(
    fd: BorrowedFd<'_>,
    interest: Interest,
    timeout: Option<Duration>,
) -> io::Result<bool> {
    let flags = match interest {
        Interest::Read => PollFlags::POLLIN,
        Interest::Write => PollFlags::POLLOUT,
        Interest::Either => PollFlags::POLLIN | PollFlags::POLLOUT,
    };
    let timeout = timeout.map_or(PollTimeout::NONE, |time| {
        // Rounded up: a wait that ends early would make its caller spin through the last millisecond.
        let millis = time.as_nanos().div_ceil(1_000_000);
        i32::try_from(millis)
            .ok()
            .and_then(|ms| PollTimeout::try_from(ms).ok())
            .unwrap_or(PollTimeout::MAX)
    });
    match nix::poll::poll(&mut [PollFd::new(fd, flags)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes nobody can guess, from the kernel.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256, "the kernel may give no more at once") };
    let mut bytes = [0; N];
    super::os::fill_random(&mut bytes)?;
    Ok(bytes)
}

/// One `recvmsg`: what it appended to the buffer, its flags, and how much of `control` it filled.
pub(super) struct Message {
    pub(super) bytes: usize,
    pub(super) flags: libc::c_int,
    #[cfg_attr(
        not(target_vendor = "apple"),
        expect(dead_code, reason = "only macOS asks for control data")
    )]
    pub(super) control_bytes: usize,
}

/// Receives into the spare capacity of the buffers, one behind the other, and no more than the number that stands with
/// each. An empty `control` asks for no control data.
pub(super) fn receive_message<const N: usize>(
    fd: BorrowedFd<'_>,
    mut into: [(&mut BytesMut, usize); N],
    control: &mut [u32],
    flags: libc::c_int,
) -> io::Result<Message> {
    let mut parts = into.each_mut().map(|(buf, most)| {
        let spare = buf.spare_capacity_mut();
        libc::iovec {
            iov_base: spare.as_mut_ptr().cast(),
            iov_len: spare.len().min(*most),
        }
    });
    // SAFETY: `msghdr` holds integers and pointers only; all-zero bytes are a valid one.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = N as _;
    if !control.is_empty() {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(control) as _;
    }
    let bytes = loop {
        // SAFETY: `fd` is open; `message` points at `parts` and `control`, which point at writable memory of the lengths they tell.
        let rc = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
        match usize::try_from(rc) {
            Ok(bytes) => break bytes,
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    };
    let mut left = bytes;
    for ((buf, _), part) in into.iter_mut().zip(&parts) {
        let written = left.min(part.iov_len);
        let len = buf.len() + written;
        // SAFETY: the kernel fills one part before the next, from the start of the spare capacity, and no more than fits.
        unsafe { buf.set_len(len) };
        left -= written;
    }
    Ok(Message {
        bytes,
        flags: message.msg_flags,
        control_bytes: size(message.msg_controllen),
    })
}

/// A length whose type differs from system to system.
fn size(len: impl TryInto<usize>) -> usize {
    len.try_into().unwrap_or(usize::MAX)
}

/// Reads a socket option of any size; gives the bytes the kernel wrote, or with `ERANGE` the bytes it would need.
pub(super) fn socket_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut [u8],
) -> Result<usize, (io::Error, usize)> {
    let mut len = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    let out = value.as_mut_ptr().cast();
    // SAFETY: `fd` is open; `out` points to `len` writable bytes.
    let rc = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, out, &raw mut len) };
    check(rc).map_err(|error| (error, len as usize))?;
    Ok(len as usize)
}

/// Gives the kernel's answer the shape Rust expects.
pub(super) fn check(rc: libc::c_int) -> io::Result<libc::c_int> {
    if rc < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(rc)
    }
}

/// Sends what the socket takes now of two parts, one behind the other.
pub(super) fn send_parts_now(
    fd: BorrowedFd<'_>,
    parts: [&[u8]; 2],
    flags: MsgFlags,
) -> io::Result<usize> {
    let parts = parts.map(IoSlice::new);
    loop {
        match sendmsg::<()>(fd.as_raw_fd(), &parts, &[], flags, None) {
            Err(Errno::EINTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Takes over a descriptor that the service manager left open, after asking the kernel whether it is.
pub(super) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD takes an integer and touches no memory; on a closed descriptor it fails.
    let rc = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    check(rc)?;
    // SAFETY: the descriptor is open, and callers see to it that each is taken over once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Listens, with room for so many connections that wait; the system may allow fewer. macOS takes 0 for the most it
/// allows, `kern.ipc.somaxconn` (xnu uipc_socket.c solisten).
pub(crate) fn listen(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    // nix refuses more than libc's SOMAXCONN, which is 128 on macOS and with musl, whatever the kernel would allow.
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: listen takes two integers and touches no memory.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Whether this is a Unix stream socket that is not connected: one that listens, or could.
pub(super) fn could_listen(socket: &OwnedFd) -> bool {
    let name = getsockname::<SockaddrStorage>(socket.as_raw_fd());
    let peer = getpeername::<SockaddrStorage>(socket.as_raw_fd());
    name.is_ok_and(|name| name.family() == Some(AddressFamily::Unix))
        && getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream)
        && peer == Err(Errno::ENOTCONN)
}

/// Makes a descriptor non-blocking.
pub(super) fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, IoSlice};
    use std::os::fd::AsFd;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::super::{
        Received, receive, receive_parts, refuse_descriptors, send, send_parts, socket_pair,
    };
    use super::*;

    fn plain(bytes: usize) -> Received {
        Received {
            bytes,
            stray_descriptors: false,
        }
    }

    #[test]
    fn what_is_sent_is_appended_and_the_end_is_zero_bytes() {
        let (left, right) = socket_pair().unwrap();
        let mut buffer = BytesMut::with_capacity(16);
        let empty = receive(right.as_fd(), &mut buffer, false).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        for part in [&b"hello "[..], b"world"] {
            assert_eq!(send(left.as_fd(), part).unwrap(), part.len());
            assert_eq!(
                receive(right.as_fd(), &mut buffer, false).unwrap(),
                plain(part.len())
            );
        }
        assert_eq!(&buffer[..], b"hello world");
        drop(left);
        assert_eq!(
            receive(right.as_fd(), &mut buffer, false).unwrap(),
            plain(0)
        );
    }

    #[test]
    fn no_more_is_received_than_there_is_room_for() {
        let (left, right) = socket_pair().unwrap();
        send(left.as_fd(), &[7; 100]).unwrap();
        let mut buffer = BytesMut::with_capacity(64);
        let room = buffer.capacity();
        assert_eq!(
            receive(right.as_fd(), &mut buffer, false).unwrap(),
            plain(room)
        );
        assert_eq!((buffer.len(), buffer.capacity()), (room, room));
    }

    #[test]
    fn one_buffer_is_filled_before_the_next() {
        let (left, right) = socket_pair().unwrap();
        send_parts(left.as_fd(), [&b"hel"[..], b"lo world"]).unwrap();
        let [mut one, mut two] = [(); 2].map(|()| BytesMut::with_capacity(64));
        let received = receive_parts(right.as_fd(), [(&mut one, 5), (&mut two, 3)]);
        assert_eq!(received.unwrap(), plain(8));
        assert_eq!((&one[..], &two[..]), (&b"hello"[..], &b" wo"[..]));
        let received = receive_parts(right.as_fd(), [(&mut one, 5), (&mut two, 3)]);
        assert_eq!((received.unwrap(), &one[5..]), (plain(3), &b"rld"[..]));
    }

    #[test]
    fn descriptors_from_a_peer_are_closed_and_reported() {
        let (left, right) = socket_pair().unwrap();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let fds = [writer.as_raw_fd(); 3];
        let rights = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(
            left.as_raw_fd(),
            &[IoSlice::new(b"x")],
            &rights,
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        drop(writer);
        let mut buffer = BytesMut::with_capacity(16);
        let received = receive(right.as_fd(), &mut buffer, false).unwrap();
        assert_eq!(
            received,
            Received {
                bytes: 1,
                stray_descriptors: true
            }
        );
        // Its last write end is closed, or this would wait for ever.
        assert_eq!(nix::unistd::read(&reader, &mut [0]), Ok(0));
    }

    #[test]
    fn descriptors_cannot_be_sent_to_who_refuses_them() {
        let (left, right) = socket_pair().unwrap();
        if !refuse_descriptors(&right) {
            println!("skipped: this kernel does not refuse descriptors (Linux before 6.16, macOS)");
            return;
        }
        let fds = [left.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let bytes = [IoSlice::new(b"x")];
        let sent = sendmsg::<()>(left.as_raw_fd(), &bytes, &rights, MsgFlags::empty(), None);
        assert_eq!(sent, Err(Errno::EPERM));
        send(left.as_fd(), b"plain").unwrap();
        let mut buffer = BytesMut::with_capacity(16);
        assert_eq!(receive(right.as_fd(), &mut buffer, true).unwrap(), plain(5));
        assert_eq!(&buffer[..], b"plain");
        let empty = receive(right.as_fd(), &mut buffer, true).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_full_socket_and_a_gone_peer_are_errors() {
        let (left, right) = socket_pair().unwrap();
        let full = loop {
            if let Err(error) = send(left.as_fd(), &[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        drop(right);
        assert_eq!(
            send(left.as_fd(), b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn poll_tells_readiness_from_time_passed() {
        let (left, right) = socket_pair().unwrap();
        let now = Some(Duration::ZERO);
        assert!(!poll(right.as_fd(), Interest::Read, now).unwrap());
        assert!(
            !poll(
                right.as_fd(),
                Interest::Read,
                Some(Duration::from_micros(1))
            )
            .unwrap()
        );
        assert!(poll(right.as_fd(), Interest::Write, now).unwrap());
        send(left.as_fd(), b"x").unwrap();
        assert!(poll(right.as_fd(), Interest::Read, None).unwrap());
        assert!(poll(right.as_fd(), Interest::Read, Some(Duration::MAX)).unwrap());
    }

    #[test]
    fn chance_does_not_repeat() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
