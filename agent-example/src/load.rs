//! A load of calls of every shape, each one counted.

use std::time::{SystemTime, UNIX_EPOCH};

use daemon_example::checks::{Check, Runner, Running};
use daemon_example::events::Event;
use daemon_example::proto;
use ipc::{Code, Error};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::checker::AT_ONCE;
use crate::session::Session;

/// How much to call.
#[derive(Debug)]
pub(crate) struct Load {
    /// The name of this agent.
    pub(crate) name: String,
    /// So many unary calls.
    pub(crate) calls: u64,
    /// So many reports, each sent twice.
    pub(crate) reports: u64,
    /// The checks that the daemon sent last.
    pub(crate) checks: watch::Receiver<Vec<Check>>,
}

/// Makes the calls, tells that it is over, and then never ends.
pub(crate) async fn drive(session: &Session, load: Load) -> Result<(), Error> {
    if load.calls > 0 {
        call(session, load.calls).await?;
        log(session, load.calls.min(LINES)).await?;
        reload(session).await?;
    }
    report(session, load).await?;
    session.outlet.tell(&Event::Driven).await;
    std::future::pending().await
}

/// Unary calls, some of them at once.
async fn call(session: &Session, calls: u64) -> Result<(), Error> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (session, share) = (
            session.clone(),
            calls / CALLERS + u64::from(caller < calls % CALLERS),
        );
        callers.spawn(async move {
            for _ in 0..share {
                session
                    .tally
                    .call(session.drift.status(proto::StatusRequest {}).into_future())
                    .await?;
                progress(&session).await;
            }
            Ok(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

async fn progress(session: &Session) {
    let calls = session.tally.totals().answered;
    if calls.is_multiple_of(PROGRESS_EVERY) {
        session.outlet.tell(&Event::Progress { calls }).await;
    }
}

/// Log lines, in one stream that the daemon answers once.
async fn log(session: &Session, lines: u64) -> Result<(), Error> {
    let upload = session.drift.log().await?;
    let summary = session.tally.call(async {
        for line in 0..lines {
            upload
                .send(proto::LogLine {
                    text: format!("line {line}"),
                })
                .await?;
        }
        upload.finish().await
    });
    let received = summary.await?.lines;
    session.tally.count(|totals| totals.lines += lines);
    if received != lines {
        tracing::error!(lines, received, "log lines are missing");
    }
    Ok(())
}

/// What only root may do: to be refused is an answer too.
async fn reload(session: &Session) -> Result<(), Error> {
    let call = session.drift.reload(proto::ReloadRequest {}).into_future();
    match session.tally.call(call).await {
        Err(error) if error.code() == Code::PermissionDenied => Ok(()),
        other => other.map(drop),
    }
}

/// Reports of what the checks give now, as an agent would send them after a login or a wake-up.
async fn report(session: &Session, load: Load) -> Result<(), Error> {
    let Load {
        name,
        reports,
        mut checks,
        ..
    } = load;
    if reports == 0 {
        return Ok(());
    }
    // Nothing is to be reported before the daemon has said what it wants to know.
    let Ok(checks) = checks
        .wait_for(|checks| !checks.is_empty())
        .await
        .map(|checks| checks.clone())
    else {
        return Ok(());
    };
    let start = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let pid = std::process::id();
    for n in 0..reports {
        let id = format!("{name}.{pid}.{start}.{n}");
        let mut running = Running::new(checks.clone(), Runner::current(), AT_ONCE);
        let mut results = Vec::new();
        while let Some(result) = running.next().await {
            results.push(result.into());
        }
        let report = proto::ReportRequest { id, results };
        send(session, report.clone()).await?;
        // As after a lost answer: the id makes the repeat harmless.
        send(session, report).await?;
    }
    Ok(())
}

async fn send(session: &Session, report: proto::ReportRequest) -> Result<(), Error> {
    let receipt = session
        .tally
        .call(session.drift.report(report).into_future())
        .await?;
    session.tally.count(|totals| match receipt.repeat {
        false => totals.reports += 1,
        true => totals.repeats += 1,
    });
    Ok(())
}

const CALLERS: u64 = 8;
const LINES: u64 = 100;
const PROGRESS_EVERY: u64 = 50;
