//! Sockets that systemd passes: sd_listen_fds(3).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{getsockopt, sockopt};

use super::Activated;
use super::unix::{adopt, could_listen, set_nonblocking};

/// The sockets systemd made for this process: sd_listen_fds(3).
pub(crate) fn activated(name: Option<&str>) -> io::Result<Vec<Activated>> {
    let text = |key| std::env::var(key).unwrap_or_default();
    let listed = listed(
        &text("LISTEN_PID"),
        &text("LISTEN_FDS"),
        &text("LISTEN_FDNAMES"),
        std::process::id(),
    );
    let wanted = listed
        .into_iter()
        .filter(|(_, its)| name.is_none_or(|name| name == its));
    let take = |(fd, name)| {
        let socket = take_once(fd)?;
        set_nonblocking(&socket)?;
        Ok(Activated { name, socket })
    };
    wanted.map(take).collect()
}

/// Whether the socket is a Unix stream socket that listens.
pub(crate) fn listens(socket: &OwnedFd) -> bool {
    could_listen(socket) && getsockopt(socket, sockopt::AcceptConn) == Ok(true)
}

/// Has clients see this process behind a socket of the service manager, and says whether those who wait do not. Here they see
/// who made the socket, and are content.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same on every system; on macOS it can fail"
)]
pub(crate) const fn show_ourselves(_socket: &OwnedFd) -> io::Result<bool> {
    Ok(false)
}

/// Descriptors and names from the variables, if they are meant for `pid`: a child inherits them too.
fn listed(pid: &str, count: &str, names: &str, own: u32) -> Vec<(i32, String)> {
    let count = if pid.parse() == Ok(own) {
        count.parse::<u16>().unwrap_or(0)
    } else {
        0
    };
    let name = |index: usize| names.split(':').nth(index).filter(|name| !name.is_empty());
    (0..count)
        .map(|index| {
            (
                3 + i32::from(index),
                name(index.into()).unwrap_or("unknown").to_owned(),
            )
        })
        .collect()
}

/// Takes a descriptor over, for the first caller only: two owners would close each other's files.
fn take_once(fd: i32) -> io::Result<OwnedFd> {
    static TAKEN: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&fd) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the inherited socket was taken before",
        ));
    }
    let socket = adopt(fd)?;
    taken.push(fd);
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::super::{socket_pair, stream_socket};
    use super::*;

    #[test]
    fn a_socket_that_listens_is_told_from_one_that_could() {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("x")).unwrap();
        let (connected, _other) = socket_pair().unwrap();
        let told = |socket: OwnedFd| (could_listen(&socket), listens(&socket));
        assert_eq!(told(listener.into()), (true, true));
        assert_eq!(told(stream_socket().unwrap()), (true, false));
        assert_eq!(told(connected), (false, false));
        let datagrams = UnixDatagram::unbound().unwrap();
        assert_eq!(told(datagrams.into()), (false, false));
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(told(tcp.into()), (false, false));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(told(file.into()), (false, false));
    }

    #[test]
    fn variables_for_another_process_name_no_sockets() {
        assert_eq!(listed("41", "2", "a:b", 42), []);
        assert_eq!(listed("", "", "", 42), []);
        assert_eq!(listed("42", "-1", "", 42), []);
    }

    #[test]
    fn inherited_sockets_start_at_three_and_may_have_names() {
        assert_eq!(
            listed("42", "2", "a:b", 42),
            [(3, "a".to_owned()), (4, "b".to_owned())]
        );
        assert_eq!(
            listed("42", "2", "a", 42),
            [(3, "a".to_owned()), (4, "unknown".to_owned())]
        );
        assert_eq!(listed("42", "1", "", 42), [(3, "unknown".to_owned())]);
    }
}
