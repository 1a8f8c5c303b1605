//! Sockets that launchd passes: launch_activate_socket(3).
#![expect(unsafe_code, reason = "system calls that nix does not wrap")]

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use super::Activated;
use super::macos::prepare;
use super::unix::{adopt, could_listen, listen, own_uid};

unsafe extern "C" {
    /// `<launch.h>`, macOS 10.10: returns an errno as its value; `fds` is to be freed.
    fn launch_activate_socket(
        name: *const libc::c_char,
        fds: *mut *mut libc::c_int,
        count: *mut libc::size_t,
    ) -> libc::c_int;
}

/// The sockets launchd made for this job under `name`, "Listeners" if it is left out. Works once per process and name.
pub(crate) fn activated(name: Option<&str>) -> io::Result<Vec<Activated>> {
    let name = name.unwrap_or("Listeners");
    let text = CString::new(name)?;
    let (mut fds, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: `text` is a C string; `fds` and `count` are writable.
    let errno = unsafe { launch_activate_socket(text.as_ptr(), &raw mut fds, &raw mut count) };
    match errno {
        0 => {}
        libc::ENOENT | libc::ESRCH => return Ok(Vec::new()), // no such socket; not a job of launchd
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    if fds.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: launchd gave `count` descriptors at `fds`.
    let list = unsafe { std::slice::from_raw_parts(fds, count) }.to_vec();
    // SAFETY: `fds` came from malloc, and nothing borrows from it any more.
    unsafe { libc::free(fds.cast()) };
    let take = |fd| {
        let socket = adopt(fd)?;
        prepare(&socket)?;
        Ok(Activated {
            name: name.to_owned(),
            socket,
        })
    };
    list.into_iter().map(take).collect()
}

/// Whether the socket is a Unix stream socket that listens. That it does is launchd's word: SO_ACCEPTCONN cannot be asked for
/// (ENOPROTOOPT, xnu uipc_socket.c sogetoptlock).
pub(crate) fn listens(socket: &OwnedFd) -> bool {
    could_listen(socket)
}

/// Has clients see this process behind a socket of launchd, and says whether those who wait do not.
///
/// What they see is who called listen(2) last (LOCAL_PEERCRED, xnu uipc_usrreq.c unp_listen): launchd, which is root. They
/// refuse a daemon that is not, since it has the socket that root's process made. So it calls listen(2) too.
pub(crate) fn show_ourselves(socket: &OwnedFd) -> io::Result<bool> {
    if own_uid() == 0 {
        return Ok(false);
    }
    listen(socket, 0)?;
    Ok(true)
}
