//! The service that agents call.

use std::collections::HashSet;
use std::sync::Arc;

use ipc::{Call, Receiver, Sender, Status};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::agents::{Agents, Refused};
use crate::checks::Finding;
use crate::cli::with_causes;
use crate::config::Scope;
use crate::desk::Desk;
use crate::drift::{Delta, Subject};
use crate::proto::{self, change};

/// Answers the calls of agents.
#[derive(Debug)]
pub struct Daemon {
    desk: Arc<Desk>,
    agents: Arc<Agents>,
    stop: CancellationToken,
}

impl Daemon {
    /// Answers from what `desk` knows; streams end at `stop`.
    #[must_use]
    pub const fn new(desk: Arc<Desk>, agents: Arc<Agents>, stop: CancellationToken) -> Self {
        Self { desk, agents, stop }
    }
}

impl proto::Drift for Daemon {
    async fn register(
        &self,
        call: Call<proto::RegisterRequest>,
    ) -> Result<proto::Registered, Status> {
        let uid = call.peer.uid();
        let client = proto::AgentClient::new(call.client());
        let name = call.body.name;
        self.agents
            .register(uid, name.clone(), client)
            .map_err(|refused| match refused {
                Refused::Name => Status::invalid_argument(refused.to_string()),
                Refused::Crowded | Refused::Full => Status::resource_exhausted(refused.to_string()),
            })?;
        if self.desk.may_log(uid) {
            tracing::info!(uid, name, "agent registered");
        }
        let checks = self.desk.config().checks(Scope::User).len();
        Ok(proto::Registered {
            uid,
            checks: saturate(checks),
        })
    }

    async fn report(&self, call: Call<proto::ReportRequest>) -> Result<proto::Receipt, Status> {
        let (uid, report) = (call.peer.uid(), call.body);
        if !(1..=ID_LIMIT).contains(&report.id.len()) {
            return Err(Status::invalid_argument("a report id has 1 to 128 bytes"));
        }
        if !self.agents.has(uid) {
            // Nobody would take back what it says when its user is gone.
            return Err(Status::failed_precondition("this user has no agent"));
        }
        // All of it is read before any of it counts.
        let results = report
            .results
            .into_iter()
            .map(<(String, Finding)>::try_from);
        let results = results
            .collect::<Result<Vec<_>, _>>()
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        let mut names = HashSet::new();
        if !results.iter().all(|(name, _)| names.insert(name)) {
            return Err(Status::invalid_argument("a report has one result a check"));
        }
        if !self.desk.is_new_report(uid, &report.id) {
            return Ok(proto::Receipt { repeat: true });
        }
        for (name, finding) in results {
            self.desk.observe(
                Subject {
                    uid: Some(uid),
                    name,
                },
                finding,
            );
        }
        Ok(proto::Receipt { repeat: false })
    }

    async fn watch(
        &self,
        call: Call<proto::WatchRequest>,
        out: Sender<proto::Change>,
    ) -> Result<(), Status> {
        tokio::select! {
            told = self.tell(call.peer.uid(), &out) => told,
            () = self.stop.cancelled() => Ok(()),
        }
    }

    async fn log(&self, call: Call<Receiver<proto::LogLine>>) -> Result<proto::LogSummary, Status> {
        let uid = call.peer.uid();
        let mut incoming = call.body;
        let mut lines = 0;
        while let Some(line) = incoming.recv().await? {
            lines += 1;
            // Written as a value in quotes, so that what an agent sends cannot pass for our own words.
            tracing::debug!(uid, line = ?line.text, "agent says");
        }
        self.desk.count(|totals| totals.lines += lines);
        Ok(proto::LogSummary { lines })
    }

    async fn status(&self, call: Call<proto::StatusRequest>) -> Result<proto::StatusReply, Status> {
        let (standings, _) = self.desk.follow(call.peer.uid());
        let drifted = standings
            .iter()
            .filter(|(_, finding)| *finding != Finding::Holds)
            .count();
        Ok(proto::StatusReply {
            agents: saturate(self.agents.count()),
            checks: saturate(standings.len()),
            drifted: saturate(drifted),
            reports: self.desk.totals().reports,
        })
    }

    async fn note(&self, _: Call<proto::Heartbeat>) {
        self.desk.count(|totals| totals.notes += 1);
    }

    async fn reload(&self, call: Call<proto::ReloadRequest>) -> Result<proto::Reloaded, Status> {
        let source = self.desk.source().clone();
        let read = tokio::task::spawn_blocking(move || source.read())
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        // What was in force stays in force.
        let config = read.map_err(|error| Status::failed_precondition(with_causes(&error)))?;
        let checks = saturate(config.entries.len());
        self.desk.replace_config(config);
        tracing::info!(uid = call.peer.uid(), checks, "configuration read again");
        Ok(proto::Reloaded { checks })
    }
}

impl Daemon {
    /// Tells the state and each change to it, until the subscriber is gone.
    async fn tell(&self, uid: u32, out: &Sender<proto::Change>) -> Result<(), Status> {
        let mut sequence = 0;
        loop {
            let (standings, mut changes) = self.desk.follow(uid);
            let standings = standings.into_iter().map(Into::into).collect();
            let snapshot = change::Kind::Snapshot(proto::Snapshot { standings });
            out.send(snapshot.into()).await?;
            while let Some(delta) = next(&mut changes, uid).await {
                sequence += 1;
                let kind = Some(delta.into());
                out.send(change::Kind::Delta(proto::Delta { sequence, kind }).into())
                    .await?;
            }
        }
    }
}

/// The next change that `uid` may see; `None` when too many have come and some were dropped.
async fn next(changes: &mut broadcast::Receiver<Delta>, uid: u32) -> Option<Delta> {
    loop {
        match changes.recv().await {
            Ok(delta) if delta.subject.is_visible_to(uid) => return Some(delta),
            Ok(_) => {}
            Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
        }
    }
}

impl From<change::Kind> for proto::Change {
    fn from(kind: change::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

fn saturate(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

const ID_LIMIT: usize = 128;

#[cfg(test)]
mod tests {
    use ipc::Code;
    use ipc::testing::{End, Split, pair};

    use super::*;
    use crate::config::Config;
    use crate::desk::Source;
    use crate::desk::tests::desk;
    use crate::lines::tests::Log;

    #[tokio::test]
    async fn an_agent_that_registers_again_and_again_cannot_fill_the_log() {
        let log = Log::default();
        let _guard = log.start();
        let text = "[[check]]\nname = 'a'\nscope = 'user'\nprocess.name = 'a'";
        let desk = Arc::new(desk(text));
        let daemon = Daemon::new(Arc::clone(&desk), Arc::default(), CancellationToken::new());
        let far = End::new().service(proto::DriftServer::new(daemon));
        let (near, _far) = pair(End::new(), far, Split::Whole).await.unwrap();
        let drift = proto::DriftClient::new(near);
        for n in 0..100 {
            let name = format!("agent{}", n % 2);
            let registered = drift.register(proto::RegisterRequest { name });
            registered.await.unwrap();
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 60);
        assert!(lines[0].contains("agent registered"), "{lines:?}");
        // What drifts is told all the same.
        let uid = Some(nix::unistd::getuid().as_raw());
        let name = "a".to_owned();
        desk.observe(Subject { uid, name }, Finding::Unchecked(String::new()));
        assert_eq!(log.lines().len(), 1);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_again_is_told_with_the_reason() {
        if !nix::unistd::getuid().is_root() {
            println!("skipped: only root may ask for it");
            return;
        }
        let source = Source {
            path: "/no/such/drift.toml".into(),
            interval: None,
        };
        let config = Config::parse("interval = '1s'", &source.path).unwrap();
        let desk = Arc::new(Desk::new(source, config));
        let daemon = Daemon::new(desk, Arc::default(), CancellationToken::new());
        let far = End::new().service(proto::DriftServer::new(daemon));
        let (near, _far) = pair(End::new(), far, Split::Whole).await.unwrap();
        let reloaded = proto::DriftClient::new(near).reload(proto::ReloadRequest {});
        let error = reloaded.await.unwrap_err();
        let told = error.status().unwrap().message();
        let reason = "cannot read /no/such/drift.toml: No such file or directory (os error 2)";
        assert_eq!(told, reason);
    }

    #[tokio::test]
    async fn a_report_without_an_agent_or_with_two_results_for_a_check_is_refused_as_a_whole() {
        let source = Source {
            path: "/no/such/drift.toml".into(),
            interval: None,
        };
        let text = "[[check]]\nname = 'a'\nscope = 'user'\nprocess.name = 'a'";
        let config = Config::parse(text, &source.path).unwrap();
        let desk = Arc::new(Desk::new(source, config));
        let daemon = Daemon::new(Arc::clone(&desk), Arc::default(), CancellationToken::new());
        let far = End::new().service(proto::DriftServer::new(daemon));
        let (near, _far) = pair(End::new(), far, Split::Whole).await.unwrap();
        let drift = proto::DriftClient::new(near);
        let unregistered = proto::ReportRequest {
            id: "1".to_owned(),
            results: Vec::new(),
        };
        let error = drift.report(unregistered).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
        let name = "a".to_owned();
        let registered = drift.register(proto::RegisterRequest { name });
        registered.await.unwrap();
        let result = || proto::CheckResult::from(("a".to_owned(), Finding::Holds));
        let mut report = proto::ReportRequest {
            id: "1".to_owned(),
            results: vec![result(), result()],
        };
        let error = drift.report(report.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(desk.totals().checks, 0);
        report.results.pop();
        drift.report(report).await.unwrap();
        assert_eq!((desk.totals().checks, desk.totals().reports), (1, 1));
    }
}
