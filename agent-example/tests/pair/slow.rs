//! A daemon that takes its time.

use std::future::pending;
use std::sync::Arc;

use daemon_example::proto;
use ipc::{Call, Receiver, Sender, Status};
use tokio::sync::Notify;

/// Never answers, but tells when an agent wants to be registered.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    pub(crate) asked: Arc<Notify>,
}

impl proto::Drift for Slow {
    async fn register(&self, _: Call<proto::RegisterRequest>) -> Result<proto::Registered, Status> {
        self.asked.notify_one();
        pending().await
    }

    async fn report(&self, _: Call<proto::ReportRequest>) -> Result<proto::Receipt, Status> {
        pending().await
    }

    async fn watch(
        &self,
        _: Call<proto::WatchRequest>,
        _: Sender<proto::Change>,
    ) -> Result<(), Status> {
        pending().await
    }

    async fn log(&self, _: Call<Receiver<proto::LogLine>>) -> Result<proto::LogSummary, Status> {
        pending().await
    }

    async fn status(&self, _: Call<proto::StatusRequest>) -> Result<proto::StatusReply, Status> {
        pending().await
    }

    async fn note(&self, _: Call<proto::Heartbeat>) {}

    async fn reload(&self, _: Call<proto::ReloadRequest>) -> Result<proto::Reloaded, Status> {
        pending().await
    }
}
