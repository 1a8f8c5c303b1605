//! What is done only once the lock is released: whoever is woken or stopped may run anything.

use std::task::Waker;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::sync::Arc;

/// Those to be woken and the handlers to be stopped. It is done when this is dropped, so that
/// a panic loses nobody; therefore it is made before the lock is taken.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Mostly there is no other.
    first: Option<Waker>,
    others: Option<Box<Others>>,
}

#[derive(Debug, Default)]
struct Others {
    wakers: Vec<Waker>,
    stops: Vec<Stop>,
    /// Whoever waits there waits in vain.
    closed: Option<Arc<Semaphore>>,
}

/// What stops one handler.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    pub(crate) token: Option<CancellationToken>,
    pub(crate) task: Option<AbortHandle>,
}

impl Wakes {
    /// Adds one that sleeps, if there is one.
    #[inline]
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match &self.first {
            None => self.first = Some(waker),
            Some(_) => self.others().wakers.push(waker),
        }
    }

    /// Adds all of a list.
    pub(crate) fn append(&mut self, wakers: &mut Vec<Waker>) {
        if !wakers.is_empty() {
            self.others().wakers.append(wakers);
        }
    }

    /// Adds a handler.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.others().stops.push(stop);
    }

    /// Adds all who wait for a permit, which nobody gets any more.
    pub(crate) fn close(&mut self, slots: &Arc<Semaphore>) {
        self.others().closed = Some(Arc::clone(slots));
    }

    /// Wakes and stops them all; what this has allotted is kept.
    #[inline]
    pub(crate) fn run(&mut self) {
        wake(self.first.take());
        if let Some(others) = &mut self.others {
            others.run();
        }
    }

    fn others(&mut self) -> &mut Others {
        self.others.get_or_insert_default()
    }
}

impl Others {
    fn run(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
        self.stops.drain(..).for_each(Stop::run);
        if let Some(slots) = self.closed.take() {
            slots.close();
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.run();
    }
}

impl Stop {
    fn run(self) {
        // The token first, so that what the handler spawned can notice.
        if let Some(token) = &self.token {
            token.cancel();
        }
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Wakes one that sleeps, if there is one.
pub(super) fn wake(waker: Option<Waker>) {
    waker.into_iter().for_each(Waker::wake);
}

/// Puts a waker where one may stand already.
pub(super) fn register(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(old) => old.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
