//! The listening socket, and how it comes back when its file is taken away.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use super::accept::Strain;
use super::bind::{BindError, BindOptions, Place};
use super::inherited::{self, InheritError};
use super::raise_buffers;
use super::watch::Watch;
use crate::complaints::Seldom;
use crate::path::SocketPath;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::sys;

/// A socket that listens at a [`SocketPath`], or that the service manager made.
///
/// While [`Listener::accept`] is awaited, the listener watches the files of its socket and of its lock: removed or replaced, it binds
/// or locks again and warns. Dropped, it removes the file of the socket if that is still its own.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) live: watch::Sender<Arc<Live>>,
    /// Accepted from a socket that lost its name, not yet handed out.
    pub(super) orphans: Mutex<VecDeque<OwnedFd>>,
    pub(super) strain: Strain,
    pub(super) unidentified: Seldom,
    pub(super) options: BindOptions,
    /// The socket came with options by which its connections would have more than bytes to read. Those that were made before it was
    /// rid of them still have them.
    pub(super) passed_more: bool,
    /// None for a socket that the service manager made, and once the path was left.
    place: Mutex<Option<Tenancy>>,
}

/// The socket in use, and what tells that its file may be gone.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) socket: AsyncFd<OwnedFd>,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Tenancy {
    place: Place,
    /// When the path was last taken again, or tried to be.
    retaken: Option<Instant>,
    failing: bool,
}

impl Listener {
    /// Takes the path and listens there.
    ///
    /// Creates the directory where the path is one of [`SocketPath::system`] or [`SocketPath::user`], keeps a lock beside the socket,
    /// and replaces a socket that a dead daemon left.
    ///
    /// # Errors
    ///
    /// [`BindError::InUse`] while another daemon holds the path; the other variants say what is wrong with the machine or the call.
    ///
    /// # Panics
    ///
    /// In a runtime without its IO driver.
    pub(crate) fn bind(path: &SocketPath, options: &BindOptions) -> Result<Self, BindError> {
        Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let (place, socket) = Place::take(path, options)?;
        let live = match Live::new(socket, Some(path.directory().0)) {
            Ok(live) => live,
            Err(source) => {
                place.leave();
                return Err(BindError::Io {
                    path: path.clone(),
                    source,
                });
            }
        };
        let tenancy = Tenancy {
            place,
            retaken: None,
            failing: false,
        };
        Ok(Self::new(live, options.clone(), false, Some(tenancy)))
    }

    /// Takes over the listening socket that systemd (`LISTEN_FDS`) or launchd (`launch_activate_socket`) made, under the name it has
    /// there. Without a name: the only one systemd passed, or the one launchd calls `Listeners`.
    ///
    /// The path of an inherited socket is never touched: it belongs to the service manager. Works once per process and socket.
    ///
    /// Clients have to see this process behind the socket, not launchd: unless both are root, it listens anew, and who has connected
    /// before is turned away, to come back.
    ///
    /// # Errors
    ///
    /// [`InheritError::NotActivated`] if no such socket was passed, which is usual when the program is started by hand.
    pub(crate) fn inherited(name: Option<&str>) -> Result<Self, InheritError> {
        Handle::try_current().map_err(|_| InheritError::NoRuntime)?;
        let options = BindOptions::default();
        let socket = inherited::take(name)?;
        raise_buffers(&socket, options.send_buffer, options.receive_buffer);
        if sys::show_ourselves(&socket).map_err(InheritError::Io)? {
            turn_away(&socket, options.backlog);
        }
        let passed_more = sys::pass_nothing(&socket).map_err(InheritError::Io)?;
        let live = Live::new(socket, None).map_err(InheritError::Io)?;
        Ok(Self::new(live, options, passed_more, None))
    }

    fn new(live: Live, options: BindOptions, passed_more: bool, tenancy: Option<Tenancy>) -> Self {
        Self {
            live: watch::Sender::new(Arc::new(live)),
            orphans: Mutex::default(),
            strain: Strain::default(),
            unidentified: Seldom::default(),
            options,
            passed_more,
            place: Mutex::new(tenancy),
        }
    }

    /// Gives the path back, for another to take; what has connected can still be accepted.
    pub(crate) fn leave(&self) {
        if let Some(tenancy) = unpoisoned(&self.place).take() {
            tenancy.place.leave();
        }
    }

    /// Takes the path again if the file of the socket, or that of its lock, is not ours any more.
    pub(super) fn look(&self, live: &Live) {
        let mut place = unpoisoned(&self.place);
        let Some(tenancy) = &mut *place else { return };
        if tenancy.place.is_ours() {
            tenancy.keep_lock(live);
        } else {
            self.bind_again(tenancy, live);
        }
    }

    fn bind_again(&self, tenancy: &mut Tenancy, live: &Live) {
        // Two programs that both insist on a path must not spin.
        let now = Instant::now();
        if tenancy
            .retaken
            .is_some_and(|then| now < then + BETWEEN_RETAKES)
        {
            return live.look_again_in(BETWEEN_RETAKES);
        }
        tenancy.retaken = Some(now);
        let directory = tenancy.place.path().directory().0.to_owned();
        let serve = |socket| Live::new(socket, Some(&directory));
        match tenancy.place.retake(&self.options, serve) {
            Ok(fresh) => {
                tenancy.failing = false;
                let path = tenancy.place.path();
                warn!(%path, "the socket's file was removed or replaced; bound again");
                self.replace(live, fresh);
            }
            Err(error) => tenancy.try_later(live, &error),
        }
    }

    /// Those who connected to the old socket are served: nobody else can reach it.
    fn replace(&self, old: &Live, fresh: Live) {
        let waiting = waiting(self.options.backlog, || {
            sys::accept(old.socket.get_ref().as_fd())
        });
        unpoisoned(&self.orphans).extend(waiting);
        self.live.send_replace(Arc::new(fresh));
    }
}

impl Tenancy {
    fn keep_lock(&mut self, live: &Live) {
        match self.place.keep_lock() {
            Ok(taken_again) => {
                self.failing = false;
                if taken_again {
                    let path = self.place.path();
                    warn!(%path, "the lock beside the socket was removed or replaced; locked again");
                }
            }
            // Another daemon that has it has the path too, now or soon; it is ours again when that one goes.
            Err(error) => self.try_later(live, &error),
        }
    }

    fn try_later(&mut self, live: &Live, error: &BindError) {
        live.look_again_in(BETWEEN_RETAKES);
        if !std::mem::replace(&mut self.failing, true) {
            let path = self.place.path();
            let error: &dyn std::error::Error = error;
            warn!(%path, error, "the socket's file or its lock was removed or replaced, and cannot be taken again yet");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Live {
    fn new(socket: OwnedFd, watched: Option<&Path>) -> io::Result<Self> {
        // Readable only: nothing is ever written to a listening socket.
        let socket = sys::readable(socket)?;
        Ok(Self {
            socket,
            watch: watched.map(Watch::new),
        })
    }

    pub(super) async fn time_to_look(&self) {
        match &self.watch {
            Some(watch) => watch.time_to_look().await,
            None => std::future::pending().await,
        }
    }

    fn look_again_in(&self, wait: Duration) {
        if let Some(watch) = &self.watch {
            watch.look_again_in(wait);
        }
    }
}

/// What `accept` finds, and no more than can wait at once (Linux lets one more wait than `backlog` says, af_unix.c
/// unix_recvq_full): by another name of the socket, a hard link, new ones may come without end.
fn waiting<T>(backlog: u32, mut accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    let most = usize::try_from(backlog).unwrap_or(usize::MAX);
    std::iter::from_fn(move || accept().ok()).take(most.saturating_add(1))
}

/// Closes the connections that wait at a socket: their clients come back, and see who listens then.
fn turn_away(socket: &OwnedFd, backlog: u32) {
    waiting(backlog, || sys::accept(socket.as_fd())).for_each(drop);
}

/// A panic elsewhere leaves nothing half done behind these locks.
pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const BETWEEN_RETAKES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_sees_the_end_and_who_comes_then_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let listener = sys::stream_socket().unwrap();
        sys::bind(listener.as_fd(), listener.as_fd(), &path).unwrap();
        sys::listen(&listener, 8).unwrap();
        let connect = || {
            let client = sys::stream_socket().unwrap();
            sys::connect(client.as_fd(), &path).unwrap();
            client
        };
        let ended = |client: &OwnedFd| {
            sys::poll(client.as_fd(), sys::Interest::Read, Some(Duration::ZERO)).unwrap()
        };
        let early = [(); 3].map(|()| connect());
        assert_eq!(early.each_ref().map(ended), [false; 3]);
        turn_away(&listener, 8);
        assert_eq!(early.each_ref().map(ended), [true; 3]);
        assert!(!ended(&connect()));
    }

    #[test]
    fn who_keeps_coming_is_not_waited_for() {
        let nobody = || io::Error::from(io::ErrorKind::WouldBlock);
        let mut comers = 0..100;
        let taken = waiting(3, || comers.next().ok_or_else(nobody));
        assert_eq!(taken.collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(waiting(3, || Err::<u8, _>(nobody())).count(), 0);
    }
}
