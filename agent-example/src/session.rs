//! One agent's life: connect, register, follow, until told to stop or the daemon is gone.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daemon_example::checks::Check;
use daemon_example::cli::{self, Failure};
use daemon_example::events::{Event, Now, Outlet};
use daemon_example::proto::{self, change, delta, finding};
use ipc::{Client, Policy};
use tokio::sync::watch;

use crate::Arguments;
use crate::checker::Checker;
use crate::load::{self, Load};
use crate::tally::Tally;

/// Lives until a signal or a failure.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let outlet = arguments.output.start();
    let mut signal = pin!(cli::stop_signal()?);
    let tally = Arc::new(Tally::default());
    let (latest, checks) = watch::channel(Vec::new());
    let joined = tokio::select! {
        () = &mut signal => None,
        joined = join(&arguments, &tally, latest) => Some(joined?),
    };
    let Some((client, registered)) = joined else {
        outlet.end(&Event::AgentEnds(tally.totals())).await;
        return Ok(());
    };
    let stream = proto::DriftClient::new(client.clone());
    let drift = proto::DriftClient::new(client.with_deadline(arguments.deadline));
    tally.count(|totals| totals.uid = registered.uid);
    tracing::info!(
        uid = registered.uid,
        checks = registered.checks,
        "registered"
    );
    let ready = Event::Ready {
        uid: registered.uid,
    };
    outlet.tell(&ready).await;
    let session = Session {
        drift,
        stream,
        tally: Arc::clone(&tally),
        outlet: outlet.clone(),
    };
    let load = Load {
        name: arguments.name,
        calls: arguments.calls,
        reports: arguments.reports,
        checks,
    };
    let ended = tokio::select! {
        () = signal => Ok(()),
        Err(error) = session.follow() => Err(Failure::ipc("cannot follow the state", error)),
        Err(error) = session.beat() => Err(Failure::ipc("cannot reach the daemon", error)),
        Err(error) = load::drive(&session, load) => Err(Failure::ipc("cannot go on calling", error)),
    };
    outlet.end(&Event::AgentEnds(tally.totals())).await;
    ended
}

/// Connects, and makes itself known.
async fn join(
    arguments: &Arguments,
    tally: &Arc<Tally>,
    latest: watch::Sender<Vec<Check>>,
) -> Result<(Client, proto::Registered), Failure> {
    let trusted = arguments
        .trust_uid
        .map_or_else(Policy::root, |uid| Policy::root().or(Policy::user(uid)));
    let checker = Checker::new(Arc::clone(tally), latest);
    let client = Client::builder(arguments.place.path()?)
        .trust(trusted)
        .connect_within(arguments.wait)
        .service(proto::AgentServer::new(checker))
        .connect()
        .await
        .map_err(|error| Failure::ipc("cannot reach the daemon", error))?;
    let request = proto::RegisterRequest {
        name: arguments.name.clone(),
    };
    let drift = proto::DriftClient::new(client.clone().with_deadline(arguments.deadline));
    let registered = tally
        .call(drift.register(request).into_future())
        .await
        .map_err(|error| Failure::ipc("cannot register", error))?;
    Ok((client, registered))
}

/// What the parts of a session share.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// For calls that the daemon answers at once, unless it is stopped or the machine is.
    pub(crate) drift: proto::DriftClient,
    /// For the stream that lasts as long as both sides.
    stream: proto::DriftClient,
    pub(crate) tally: Arc<Tally>,
    pub(crate) outlet: Outlet,
}

impl Session {
    /// Follows the state, first as a whole and then change by change, until the stream breaks.
    async fn follow(&self) -> Result<(), ipc::Error> {
        let mut last = 0;
        let mut changes = self.stream.watch(proto::WatchRequest {}).await?;
        while let Some(change) = changes.recv().await? {
            match change.kind {
                Some(change::Kind::Snapshot(snapshot)) => self.is(snapshot).await,
                Some(change::Kind::Delta(delta)) => last = self.changes(last, delta).await,
                // A daemon newer than this agent says something more.
                None => {}
            }
        }
        tracing::info!("the daemon ends the stream: it is stopping");
        std::future::pending().await
    }

    async fn is(&self, snapshot: proto::Snapshot) {
        for standing in snapshot.standings {
            self.stands(standing).await;
        }
    }

    /// Takes in the delta that follows the one numbered `last`.
    async fn changes(&self, last: u64, delta: proto::Delta) -> u64 {
        self.tally.change(last, delta.sequence);
        match delta.kind {
            Some(delta::Kind::Standing(standing)) => self.stands(standing).await,
            Some(delta::Kind::Gone(subject)) => {
                tracing::info!(check = subject.name, uid = subject.uid, "no longer watched");
                let (check, now) = (subject.name, Now::Gone);
                self.outlet.tell(&Event::Change { check, now }).await;
            }
            None => {}
        }
        delta.sequence
    }

    async fn stands(&self, standing: proto::Standing) {
        let proto::Subject { name, uid } = standing.subject.unwrap_or_default();
        let now = match standing.finding.unwrap_or_default().kind {
            Some(finding::Kind::Holds(())) => {
                tracing::info!(check = name, uid, "holds");
                Now::Holds
            }
            Some(finding::Kind::Drifted(proto::Drifted {
                what,
                expected,
                found,
            })) => {
                tracing::warn!(check = name, uid, what, expected, found, "drifted");
                Now::Drifted
            }
            Some(finding::Kind::Unchecked(why)) => {
                tracing::warn!(check = name, uid, why, "cannot be checked");
                Now::Unchecked
            }
            None => return,
        };
        self.outlet.tell(&Event::Change { check: name, now }).await;
    }

    /// Says again and again that this agent is well.
    async fn beat(&self) -> Result<(), ipc::Error> {
        let mut clock = tokio::time::interval(HEARTBEAT);
        loop {
            clock.tick().await;
            self.drift.note(proto::Heartbeat {}).await?;
        }
    }
}

const HEARTBEAT: Duration = Duration::from_secs(5);
