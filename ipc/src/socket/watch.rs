//! Noticing that something happened to the directory of the socket.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use tracing::debug;

use crate::sync::{Mutex, PoisonError};
use crate::sys::{self, DirectoryWatch};
use crate::timer::Timer;

/// Says when it is time to look whether the socket's file is still there: after an event, and from time to time anyway.
#[derive(Debug)]
pub(super) struct Watch {
    events: Option<AsyncFd<DirectoryWatch>>,
    next_look: Mutex<Instant>,
}

impl Watch {
    /// Starts to watch. Where events are not to be had, looking from time to time remains.
    pub(super) fn new(directory: &Path) -> Self {
        let events = DirectoryWatch::new(directory)
            .and_then(sys::readable)
            .inspect_err(|error| {
                debug!(
                    error = error as &dyn std::error::Error,
                    "no events for the directory of the socket"
                );
            })
            .ok();
        let period = if events.is_some() {
            WITH_EVENTS
        } else {
            WITHOUT_EVENTS
        };
        Self {
            events,
            next_look: Mutex::new(Instant::now() + period),
        }
    }

    /// Waits until it is time to look.
    pub(super) async fn time_to_look(&self) {
        let next_look = *self
            .next_look
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokio::select! {
            () = self.event() => {}
            () = <Timer>::new(next_look.into_std()) => {}
        }
        self.look_again_in(if self.events.is_some() {
            WITH_EVENTS
        } else {
            WITHOUT_EVENTS
        });
    }

    /// Sets the time of the next look, if there is no event before.
    pub(super) fn look_again_in(&self, wait: Duration) {
        *self
            .next_look
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now() + wait;
    }

    /// Nothing is awaited once an event is taken, so a dropped future loses none.
    async fn event(&self) {
        let Some(events) = &self.events else {
            return pending().await;
        };
        loop {
            let Ok(mut ready) = events.readable().await else {
                return pending().await;
            };
            match ready.try_io(|events| events.get_ref().drain()) {
                Ok(Ok(())) => return,
                Ok(Err(_)) => return pending().await,
                Err(_would_block) => {}
            }
        }
    }
}

/// Events tell nothing about a rename further up; this is how long one may go unnoticed.
const WITH_EVENTS: Duration = Duration::from_secs(60);
/// Twelve wakeups a minute, each three calls of `stat`.
const WITHOUT_EVENTS: Duration = Duration::from_secs(5);
