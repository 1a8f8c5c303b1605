//! How a task comes back behind the others that are ready now.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::yield_now;

/// What is cheaper on the runtime of a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Yield {
    /// It wakes itself.
    Wake,
    /// It is woken behind the driver. Where a task wakes itself a runtime of several workers wakes
    /// another of them, which takes the task away. Work that comes meanwhile goes first, so
    /// nothing that others wait for may wait for this.
    Defer,
}

impl Yield {
    /// For the runtime that this is called in.
    pub(super) fn here() -> Self {
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        match flavor {
            Ok(RuntimeFlavor::MultiThread) => Self::Defer,
            _ => Self::Wake,
        }
    }

    /// To be followed by [`Poll::Pending`](std::task::Poll).
    pub(super) fn to_others(self, cx: &mut Context<'_>) {
        let deferred = matches!(self, Self::Defer) && pin!(yield_now()).poll(cx).is_pending();
        if !deferred {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use tokio::task::JoinSet;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a task that yields is woken at once, and how often once others have run.
    async fn wakes() -> (u32, u32) {
        let count = Arc::new(Count::default());
        let waker = Arc::clone(&count).into();
        Yield::here().to_others(&mut Context::from_waker(&waker));
        let at_once = count.0.load(Ordering::Relaxed);
        yield_now().await;
        (at_once, count.0.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_task_wakes_itself_where_there_is_one_thread() {
        assert_eq!(wakes().await, (1, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_task_is_woken_behind_the_driver_where_there_are_workers() {
        let mut tasks = JoinSet::new();
        tasks.spawn(wakes());
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), (0, 1));
    }
}
