//! Connecting, with patience: a daemon that restarts is not an error until the deadline says so.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::accept::jitter;
use super::raise_buffers;
use crate::path::SocketPath;
use crate::sys;

/// Why there is no connection. Nothing was sent.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody took the connection in time; the source says how the last try failed.
    #[error("nobody answered at {path} before the deadline")]
    Deadline {
        /// The path.
        path: SocketPath,
        /// The last refusal: ENOENT, ECONNREFUSED or EAGAIN.
        #[source]
        source: io::Error,
    },
    /// The mode of the socket, or of a directory on the way to it, keeps this user out. Said after a third of a second in which it
    /// stayed so, or at the deadline: a daemon that starts lets others in last.
    #[error("this user may not connect to {path}")]
    NotAllowed {
        /// The path.
        path: SocketPath,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused, and would again.
    #[error("cannot connect to {path}")]
    Io {
        /// The path.
        path: SocketPath,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Connects to the daemon at `path`, trying again until `deadline` while it is not there or too busy.
///
/// The first try is made even if the deadline has passed. The connection is non-blocking and closed on exec.
///
/// # Errors
///
/// [`ConnectError`], at once for everything that waiting does not mend, and soon for a lack of permission.
///
/// # Cancel safety
///
/// Dropping the future closes what it opened.
pub(crate) async fn connect(
    path: &SocketPath,
    deadline: tokio::time::Instant,
) -> Result<OwnedFd, ConnectError> {
    let mut attempts = Attempts::default();
    loop {
        let error = match try_once(path) {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        tokio::time::sleep(attempts.after(path, error, left, jitter())?).await;
    }
}

/// As [`connect`], for a program without a runtime: the calling thread sleeps.
///
/// # Errors
///
/// As [`connect`].
pub(crate) fn connect_blocking(
    path: &SocketPath,
    deadline: std::time::Instant,
) -> Result<OwnedFd, ConnectError> {
    let mut attempts = Attempts::default();
    loop {
        let error = match try_once(path) {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no runtime whose clock could be used"
        )]
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        std::thread::sleep(attempts.after(path, error, left, jitter())?);
    }
}

/// Connects and has `meet` make something of the connection; both again, until `deadline`, where `ended` says of its error that the
/// daemon went before they had met. One that restarts leaves those who wait for it so.
///
/// # Errors
///
/// As [`connect`], and those of `meet`.
///
/// # Cancel safety
///
/// As [`connect`], if `meet` is.
pub(crate) async fn connect_and_meet<T, E: From<ConnectError>, F>(
    path: &SocketPath,
    deadline: tokio::time::Instant,
    meet: impl Fn(OwnedFd) -> F,
    ended: fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut tries = 0;
    loop {
        let error = match meet(connect(path, deadline).await?).await {
            Err(error) if ended(&error) => error,
            met => return met,
        };
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let wait = until_next(&mut tries, left, jitter()).ok_or(error)?;
        tokio::time::sleep(wait).await;
    }
}

/// As [`connect_and_meet`], for a program without a runtime: the calling thread sleeps.
///
/// # Errors
///
/// As [`connect_and_meet`].
pub(crate) fn connect_and_meet_blocking<T, E: From<ConnectError>>(
    path: &SocketPath,
    deadline: std::time::Instant,
    meet: impl Fn(OwnedFd) -> Result<T, E>,
    ended: fn(&E) -> bool,
) -> Result<T, E> {
    let mut tries = 0;
    loop {
        let error = match meet(connect_blocking(path, deadline)?) {
            Err(error) if ended(&error) => error,
            met => return met,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no runtime whose clock could be used"
        )]
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let wait = until_next(&mut tries, left, jitter()).ok_or(error)?;
        std::thread::sleep(wait);
    }
}

/// How long to wait before the next of these tries, one of which is made at the deadline itself; none after it.
fn until_next(tries: &mut u32, left: Duration, jitter: u8) -> Option<Duration> {
    let wait = pause(*tries, jitter).min(left);
    *tries = tries.saturating_add(1);
    (!left.is_zero()).then_some(wait)
}

fn try_once(path: &SocketPath) -> io::Result<OwnedFd> {
    let socket = sys::stream_socket()?;
    raise_buffers(&socket, super::BUFFER, super::BUFFER);
    sys::connect(socket.as_fd(), path.as_path())?;
    Ok(socket)
}

/// The tries made so far. Pure: time and chance are handed in.
#[derive(Debug, Default)]
struct Attempts {
    /// Nobody was there, or nobody had time.
    absent: u32,
    /// In a row, without permission.
    forbidden: u32,
}

impl Attempts {
    /// How long to wait after this failure, or that there is no point.
    fn after(
        &mut self,
        path: &SocketPath,
        error: io::Error,
        left: Duration,
        jitter: u8,
    ) -> Result<Duration, ConnectError> {
        let (path, source) = (path.clone(), error);
        let tries = match Errno::from_raw(source.raw_os_error().unwrap_or(0)) {
            Errno::EINTR => return Ok(Duration::ZERO),
            // No file yet; nobody behind it, or a full backlog on macOS; a full backlog on Linux. None of them proves it dead.
            Errno::ENOENT | Errno::ECONNREFUSED | Errno::EAGAIN => {
                self.forbidden = 0;
                &mut self.absent
            }
            // It may be between its bind and the change of its mode.
            Errno::EACCES if self.forbidden < FORBIDDEN && !left.is_zero() => &mut self.forbidden,
            Errno::EACCES | Errno::EPERM => return Err(ConnectError::NotAllowed { path, source }),
            _ => return Err(ConnectError::Io { path, source }),
        };
        until_next(tries, left, jitter).ok_or(ConnectError::Deadline { path, source })
    }
}

/// How many more tries a lack of permission is worth: they take 0.29 to 0.44 s. The daemon needs microseconds, if it is not held up;
/// and a user who is not let in should not have to wait for long to hear it.
const FORBIDDEN: u32 = 10;

/// 2 ms, times 1.6 for each try up to 250 ms, and between 80 % and 120 % of that: a restart is noticed soon, and a thousand agents do
/// not come in step.
fn pause(tries: u32, jitter: u8) -> Duration {
    let growth = 1.6_f64.powi(i32::try_from(tries.min(16)).unwrap_or(16));
    let base = Duration::from_millis(2)
        .mul_f64(growth)
        .min(Duration::from_millis(250));
    base.mul_f64(0.8 + 0.4 * f64::from(jitter) / f64::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(9);

    fn after(errno: Errno, left: Duration) -> Result<Duration, ConnectError> {
        let path = SocketPath::at("/run/x.sock").unwrap();
        Attempts::default().after(&path, errno.into(), left, 0)
    }

    #[test]
    fn absence_and_a_full_backlog_are_waited_out() {
        for errno in [Errno::ENOENT, Errno::ECONNREFUSED, Errno::EAGAIN] {
            assert_eq!(
                after(errno, LEFT).unwrap(),
                Duration::from_micros(1600),
                "{errno}"
            );
            assert!(
                matches!(
                    after(errno, Duration::ZERO),
                    Err(ConnectError::Deadline { .. })
                ),
                "{errno}"
            );
        }
        assert_eq!(after(Errno::EINTR, LEFT).unwrap(), Duration::ZERO);
    }

    #[test]
    fn a_lack_of_permission_is_final_if_it_lasts() {
        let path = SocketPath::at("/run/x.sock").unwrap();
        let forbidden = |attempts: &mut Attempts, left, jitter| {
            attempts.after(&path, Errno::EACCES.into(), left, jitter)
        };
        for (jitter, about) in [(0, 290), (u8::MAX, 435)] {
            let mut attempts = Attempts::default();
            let mut waited = Duration::ZERO;
            let refused = loop {
                match forbidden(&mut attempts, LEFT, jitter) {
                    Ok(wait) => waited += wait,
                    Err(error) => break error,
                }
            };
            assert!(matches!(refused, ConnectError::NotAllowed { .. }));
            assert_eq!(waited.as_millis(), about);
        }
        let late = forbidden(&mut Attempts::default(), Duration::ZERO, 0);
        assert!(matches!(late, Err(ConnectError::NotAllowed { .. })));
    }

    #[test]
    fn a_daemon_that_comes_anew_may_be_without_permissions_again() {
        let path = SocketPath::at("/run/x.sock").unwrap();
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            for errno in [Errno::ENOENT, Errno::EACCES, Errno::EACCES] {
                attempts.after(&path, errno.into(), LEFT, 0).unwrap();
            }
        }
        let soon = attempts.after(&path, Errno::EACCES.into(), LEFT, 0);
        assert!(soon.unwrap() < Duration::from_millis(5));
    }

    #[test]
    fn other_errors_are_final() {
        assert!(matches!(
            after(Errno::EPERM, LEFT),
            Err(ConnectError::NotAllowed { .. })
        ));
        for errno in [
            Errno::ENOTDIR,
            Errno::EPROTOTYPE,
            Errno::ENOTSOCK,
            Errno::EMFILE,
        ] {
            assert!(
                matches!(after(errno, LEFT), Err(ConnectError::Io { .. })),
                "{errno}"
            );
        }
    }

    #[test]
    fn a_wait_ends_at_the_deadline() {
        let left = Duration::from_micros(10);
        assert_eq!(after(Errno::ENOENT, left).unwrap(), left);
    }

    #[test]
    fn the_pause_grows_to_a_quarter_of_a_second_and_is_spread() {
        assert_eq!(pause(1, 0), Duration::from_micros(2560));
        for tries in [11, 16, 17, u32::MAX] {
            assert_eq!(pause(tries, 0), Duration::from_millis(200), "{tries}");
            assert_eq!(pause(tries, u8::MAX), Duration::from_millis(300), "{tries}");
        }
    }
}
