//! Accepting: errors sorted into go on, back off, stop.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use tracing::{debug, warn};

use super::listener::{Listener, Live, unpoisoned};
use super::raise_buffers;
use crate::clock::now;
use crate::peer::{Peer, PeerError};
use crate::sync::{Arc, Mutex};
use crate::sys;

/// A new connection and who is at its other end. Not a byte has been read from it.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The connection: non-blocking, closed on exec, its buffers raised.
    pub fd: OwnedFd,
    /// Who the kernel says has connected.
    pub peer: Peer,
}

/// Why a listener cannot accept any more.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The socket is not one that listens, any more or at all.
    #[error("the listening socket failed")]
    Failed(#[source] io::Error),
    /// The runtime in which the server accepts has ended.
    #[error("the runtime has ended")]
    RuntimeEnded,
}

impl Listener {
    /// Waits for the next connection.
    ///
    /// A client that leaves at once, or that the kernel does not identify, is passed over; the latter is warned of. Without descriptors or memory, for the
    /// connection or for its identity, the listener waits a little longer each time, up to a second.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Failed`], after which no call can succeed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub(crate) async fn accept(&self) -> Result<Accepted, AcceptError> {
        let mut lives = self.live.subscribe();
        loop {
            if let Some(accepted) = self.next_orphan().await {
                return Ok(accepted);
            }
            let live = Arc::clone(&lives.borrow_and_update());
            tokio::select! {
                step = self.step(&live) => {
                    if let Some(result) = step.transpose() {
                        return result;
                    }
                }
                () = live.time_to_look() => self.look(&live),
                // Another caller found the file gone; the sender is ours and cannot be.
                _ = lives.changed() => {}
            }
        }
    }

    /// The first who can be identified of those who had connected to a socket that lost its name.
    async fn next_orphan(&self) -> Option<Accepted> {
        loop {
            let fd = unpoisoned(&self.orphans).pop_front()?;
            if let Some(accepted) = self.identify(fd).await {
                return Some(accepted);
            }
        }
    }

    /// One accept; `None` if there is nothing to hand out yet.
    async fn step(&self, live: &Live) -> Result<Option<Accepted>, AcceptError> {
        let mut ready = live.socket.readable().await.map_err(AcceptError::Failed)?;
        // Only shutdown(2) ends a socket that listens. Linux reports it as ready for ever then, and accept(2) that does not
        // wait says EAGAIN where one that does says EINVAL.
        let ended = ready.ready().is_read_closed();
        let Ok(result) = ready.try_io(|socket| sys::accept(socket.get_ref().as_fd())) else {
            return if ended {
                Err(AcceptError::Failed(Errno::EINVAL.into()))
            } else {
                Ok(None)
            };
        };
        let error = match result {
            Ok(fd) => return Ok(self.identify(fd).await),
            Err(error) => error,
        };
        match verdict(&error, sys::EINVAL_BLAMES_THE_CLIENT) {
            Verdict::GoOn => debug!(
                error = &error as &dyn std::error::Error,
                "a client left before it was accepted"
            ),
            Verdict::BackOff => {
                let wait = self.strain.grow(&error);
                if matches!(
                    Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                    Errno::EMFILE | Errno::ENFILE
                ) {
                    self.strain.turn_one_away(live);
                }
                tokio::time::sleep(wait).await;
            }
            Verdict::Stop => return Err(AcceptError::Failed(error)),
        }
        Ok(None)
    }

    /// Asks who has connected, which may take a descriptor. A connection that cannot be
    /// identified is closed at once, so that its client knows that it must come back.
    async fn identify(&self, fd: OwnedFd) -> Option<Accepted> {
        if !sys::ACCEPTED_INHERIT_BUFFERS {
            raise_buffers(&fd, self.options.send_buffer, self.options.receive_buffer);
        }
        if self.passed_more
            && let Err(error) = sys::pass_nothing(&fd)
        {
            let error: &dyn std::error::Error = &error;
            debug!(error, "a connection has more than bytes to read");
        }
        let error = match Peer::of(&fd) {
            Ok(peer) => {
                self.strain.ease();
                return Some(Accepted { fd, peer });
            }
            Err(error) => error,
        };
        drop(fd);
        match error {
            PeerError::Unreadable(error) if verdict(&error, false) == Verdict::BackOff => {
                let wait = self.strain.grow(&error);
                tokio::time::sleep(wait).await;
            }
            error if error.is_gone() => {
                let error: &dyn std::error::Error = &error;
                debug!(error, "a client left before it was identified");
            }
            // Every client, where the kernel is too old: silence would be a riddle.
            error => {
                let error: &dyn std::error::Error = &error;
                match self.unidentified.count(now()) {
                    Some(others) => {
                        warn!(error, others, "dropped a client that cannot be identified");
                    }
                    None => debug!(error, "dropped a client that cannot be identified"),
                }
            }
        }
        None
    }
}

/// What an error of accept(2), or of asking for the identity, asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The client's doing: try again at once.
    GoOn,
    /// The machine is short of something: try again later.
    BackOff,
    /// The socket is of no use.
    Stop,
}

fn verdict(error: &io::Error, einval_blames_the_client: bool) -> Verdict {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::ECONNABORTED | Errno::EINTR | Errno::EPROTO => Verdict::GoOn,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => Verdict::BackOff,
        // A security module forbids it, for now: it is asked before the connection leaves the queue.
        Errno::EPERM | Errno::EACCES => Verdict::BackOff,
        // It may be the client's doing, or the socket may not listen: a pause keeps the second case from spinning.
        Errno::EINVAL if einval_blames_the_client => Verdict::BackOff,
        _ => Verdict::Stop,
    }
}

/// How short the machine is of descriptors, and one kept aside.
#[derive(Debug)]
pub(super) struct Strain(Mutex<Shortage>);

#[derive(Debug)]
struct Shortage {
    /// In a row.
    failures: u32,
    spare: Option<OwnedFd>,
}

impl Default for Strain {
    fn default() -> Self {
        Self(Mutex::new(Shortage {
            failures: 0,
            spare: spare(),
        }))
    }
}

impl Strain {
    fn ease(&self) {
        let mut shortage = unpoisoned(&self.0);
        if shortage.failures > 0 {
            warn!("accepting connections again");
            shortage.failures = 0;
            shortage.spare = shortage.spare.take().or_else(spare);
        }
    }

    /// The next wait. The first of a series is worth an operator's attention.
    fn grow(&self, error: &io::Error) -> Duration {
        let mut shortage = unpoisoned(&self.0);
        if shortage.failures == 0 {
            warn!(
                error = error as &dyn std::error::Error,
                "accepting is held up: connections wait or are turned away"
            );
        }
        let wait = pause(shortage.failures, jitter());
        shortage.failures = shortage.failures.saturating_add(1);
        wait
    }

    /// Closes the first connection that waits, by lending it the spare descriptor: its client learns at once that it must come back.
    fn turn_one_away(&self, live: &Live) {
        let mut shortage = unpoisoned(&self.0);
        drop(shortage.spare.take());
        drop(sys::accept(live.socket.get_ref().as_fd()));
        shortage.spare = spare();
    }
}

fn spare() -> Option<OwnedFd> {
    File::open("/dev/null").ok().map(OwnedFd::from)
}

/// 1 ms, doubled by each failure up to 1 s, and between 80 % and 120 % of that.
fn pause(failures: u32, jitter: u8) -> Duration {
    let base = Duration::from_millis(1 << failures.min(10)).min(Duration::from_secs(1));
    base.mul_f64(0.8 + 0.4 * f64::from(jitter) / f64::from(u8::MAX))
}

/// Chance; its middle where the kernel has none to give.
pub(super) fn jitter() -> u8 {
    sys::random::<1>().map_or(u8::MAX / 2, |[byte]| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_who_can_mend_them() {
        let sorted = |errno: Errno, blames| verdict(&errno.into(), blames);
        for errno in [Errno::ECONNABORTED, Errno::EINTR, Errno::EPROTO] {
            assert_eq!(sorted(errno, false), Verdict::GoOn, "{errno}");
        }
        for errno in [
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOBUFS,
            Errno::ENOMEM,
            Errno::EPERM,
            Errno::EACCES,
        ] {
            assert_eq!(sorted(errno, false), Verdict::BackOff, "{errno}");
        }
        for errno in [
            Errno::EBADF,
            Errno::ENOTSOCK,
            Errno::EOPNOTSUPP,
            Errno::EINVAL,
        ] {
            assert_eq!(sorted(errno, false), Verdict::Stop, "{errno}");
        }
        assert_eq!(sorted(Errno::EINVAL, true), Verdict::BackOff);
    }

    #[test]
    fn the_pause_doubles_to_a_second_and_is_spread() {
        assert_eq!(pause(0, 0), Duration::from_micros(800));
        assert_eq!(pause(0, u8::MAX), Duration::from_micros(1200));
        assert_eq!(pause(3, 0), Duration::from_micros(6400));
        for failures in [10, 11, 31, 32, u32::MAX] {
            assert_eq!(pause(failures, 0), Duration::from_millis(800), "{failures}");
        }
    }
}
