//! Linux: what the kernel passes beside the bytes of a Unix socket, where an option asks for it.
#![expect(unsafe_code, reason = "system calls that nix does not wrap")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::unix::{check, socket_option};

/// The sender's credentials, pidfd and security label: `PassCredentials=`, `PassPIDFD=` and `PassSecurity=` of systemd.
const OPTIONS: [libc::c_int; 3] = [libc::SO_PASSCRED, libc::SO_PASSPIDFD, libc::SO_PASSSEC];

/// Has the kernel pass nothing beside the bytes, which would be taken for descriptors; says whether it was asked to.
///
/// A connection has these options from its listener: since Linux 6.16 from when it was made, before from when it is accepted
/// (af_unix.c).
pub(crate) fn pass_nothing(socket: &OwnedFd) -> io::Result<bool> {
    let mut asked = false;
    for option in OPTIONS {
        let mut value = [0; size_of::<libc::c_int>()];
        // A kernel that does not know the option passes nothing of its kind.
        let known = socket_option(socket.as_fd(), libc::SOL_SOCKET, option, &mut value).is_ok();
        if known && libc::c_int::from_ne_bytes(value) != 0 {
            set(socket, option, false)?;
            asked = true;
        }
    }
    Ok(asked)
}

fn set(socket: &OwnedFd, option: libc::c_int, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    let (value, len) = (
        (&raw const value).cast(),
        size_of_val(&value) as libc::socklen_t,
    );
    // SAFETY: `socket` is open; `value` points to `len` readable bytes.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) };
    check(rc).map(drop)
}

/// Has the kernel pass the sender's credentials.
#[cfg(test)]
pub(crate) fn pass_credentials(socket: &OwnedFd) -> io::Result<()> {
    set(socket, libc::SO_PASSCRED, true)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::{receive, send, socket_pair};
    use super::*;

    #[test]
    fn what_was_asked_for_is_not_passed_any_more() {
        for option in [libc::SO_PASSCRED, libc::SO_PASSPIDFD, libc::SO_PASSSEC] {
            let (left, right) = socket_pair().unwrap();
            assert!(!pass_nothing(&right).unwrap());
            if set(&right, option, true).is_err() {
                println!("skipped: this kernel has no socket option {option}");
                continue;
            }
            assert!(pass_nothing(&right).unwrap());
            assert!(!pass_nothing(&right).unwrap());
            send(left.as_fd(), b"plain").unwrap();
            let mut buffer = BytesMut::with_capacity(16);
            let received = receive(right.as_fd(), &mut buffer, false).unwrap();
            assert!(!received.stray_descriptors, "option {option}");
        }
    }
}
