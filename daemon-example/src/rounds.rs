//! Runs the checks again and again: the system's here, each user's through its agent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipc::Code;
use tokio::sync::Mutex as Turn;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use crate::agents::{Agent, Agents};
use crate::checks::{Runner, Running};
use crate::config::Scope;
use crate::convert::{Malformed, tame};
use crate::desk::Desk;
use crate::drift::Subject;
use crate::lines::MINUTE;
use crate::proto;

/// Runs rounds until `stop`; what is under way then is dropped.
///
/// # Cancel safety
///
/// Dropping the future ends the checks that run.
pub async fn run(desk: Arc<Desk>, agents: Arc<Agents>, stop: CancellationToken) {
    let system = Arc::new(Turn::new(()));
    let mut tasks = JoinSet::new();
    let tick = sleep(Duration::ZERO);
    tokio::pin!(tick);
    // Not the rounds themselves: they may be hours apart.
    let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return desk.end_minute(),
            _ = minutes.tick() => desk.end_minute(),
            () = &mut tick => {
                tasks.spawn(check_system(Arc::clone(&desk), Arc::clone(&system)));
                for uid in agents.sweep() {
                    tracing::info!(uid, "the last agent of this user is gone");
                }
                let all = agents.all();
                let users: BTreeSet<u32> = all.iter().map(|agent| agent.uid).collect();
                // A result may have come in after the last sweep, and an agent behind it.
                desk.keep_users(|uid| users.contains(&uid) || agents.has(uid));
                for agent in all {
                    tasks.spawn(check_user(Arc::clone(&desk), agent));
                }
                tick.as_mut().reset(Instant::now() + desk.config().interval);
            }
            () = desk.reconfigured() => tick.as_mut().reset(Instant::now()),
            Some(ended) = tasks.join_next() => rethrow(ended),
        }
    }
}

/// A round that panics is a bug of this program: let it show.
fn rethrow(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

async fn check_system(desk: Arc<Desk>, turn: Arc<Turn<()>>) {
    let Ok(_turn) = turn.try_lock() else { return };
    let config = desk.config();
    let checks = config.checks(Scope::System);
    let mut running = Running::new(checks, Runner::current(), config.at_once);
    while let Some((name, finding)) = running.next().await {
        desk.observe(Subject { uid: None, name }, finding);
    }
}

/// An agent that fails is asked again in the next round; it goes only with its connection.
async fn check_user(desk: Arc<Desk>, agent: Arc<Agent>) {
    let Ok(_turn) = agent.try_turn() else { return };
    let config = desk.config();
    let checks: Vec<_> = config.checks(Scope::User).iter().map(Into::into).collect();
    if checks.is_empty() {
        return;
    }
    let asked = ask(&desk, &agent, checks).await;
    let is_gone = agent.is_gone();
    if !matches!(&asked, Err(error) if is_gone || error.code() == Code::Unavailable) {
        desk.count(|totals| {
            totals.asked += 1;
            totals.answered += u64::from(asked.is_ok());
        });
    }
    let Agent { uid, name, .. } = &*agent;
    if let Err(error) = asked
        && desk.may_log(*uid)
    {
        // In quotes and cut: a status has the words of the agent.
        let error = tame(&format!("{error:?}"));
        tracing::warn!(uid, name, is_gone, ?error, "agent did not finish its round");
    }
}

async fn ask(desk: &Desk, agent: &Agent, checks: Vec<proto::Check>) -> Result<(), ipc::Error> {
    let mut left = checks.len();
    let request = proto::RunChecksRequest { checks };
    let mut results = agent
        .client
        .run_checks(request)
        .deadline(ROUND_LIMIT)
        .await?;
    // To the end, or the agent would be told that its answer is not wanted.
    while let Some(result) = results.recv().await? {
        // More than was asked for, or one line a round and no more.
        if left == 0 || !take_in(desk, agent, result) {
            return Ok(());
        }
        left -= 1;
    }
    Ok(())
}

/// Whether the result makes sense. One of an agent that is gone meanwhile says nothing of its user.
fn take_in(desk: &Desk, agent: &Agent, result: proto::CheckResult) -> bool {
    let uid = agent.uid;
    match result.try_into() {
        Ok((name, finding)) => {
            if !agent.is_gone() {
                let uid = Some(uid);
                desk.observe(Subject { uid, name }, finding);
            }
            true
        }
        Err(error) => {
            let error: Malformed = error;
            if desk.may_log(uid) {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(uid, error, "agent answers nonsense");
            }
            false
        }
    }
}

/// A stopped agent holds nothing but its own turn, and not for longer than this.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ipc::testing::{End, Split, pair};
    use ipc::{Call, Sender, Status};
    use tokio::sync::broadcast::Receiver;
    use tokio::time::timeout;

    use super::*;
    use crate::checks::Finding;
    use crate::config::Config;
    use crate::desk::tests::desk;
    use crate::drift::Delta;
    use crate::lines::tests::Log;

    /// Fails in its first round, talks nonsense in the next, and does as it is asked from then on.
    #[derive(Default)]
    struct Shaky {
        rounds: AtomicUsize,
    }

    impl proto::Agent for Shaky {
        async fn run_checks(
            &self,
            _: Call<proto::RunChecksRequest>,
            out: Sender<proto::CheckResult>,
        ) -> Result<(), Status> {
            let result = match self.rounds.fetch_add(1, Ordering::Relaxed) {
                0 => return Err(Status::internal("out of order")),
                1 => proto::CheckResult::default(),
                _ => ("a".to_owned(), Finding::Holds).into(),
            };
            out.send(result).await?;
            Ok(())
        }
    }

    /// Fails in every round, and has a lot to say about it.
    struct Wordy;

    impl proto::Agent for Wordy {
        async fn run_checks(
            &self,
            _: Call<proto::RunChecksRequest>,
            _: Sender<proto::CheckResult>,
        ) -> Result<(), Status> {
            Err(Status::internal("\n".repeat(50_000)))
        }
    }

    #[tokio::test]
    async fn an_agent_that_fails_each_round_cannot_fill_the_log() {
        let log = Log::default();
        let _guard = log.start();
        let near = End::new().service(proto::AgentServer::new(Wordy));
        let (_near, far) = pair(near, End::new(), Split::Whole).await.unwrap();
        let agents = Agents::default();
        let client = proto::AgentClient::new(far);
        agents.register(7, "wordy".to_owned(), client).unwrap();
        let desk = Arc::new(desk(ONE));
        let [agent] = &agents.all()[..] else {
            panic!("one agent")
        };
        for _ in 0..100 {
            check_user(Arc::clone(&desk), Arc::clone(agent)).await;
        }
        let totals = desk.totals();
        assert_eq!((totals.asked, totals.answered), (100, 0));
        let lines = log.lines();
        assert_eq!(lines.len(), 60);
        let longest = lines.iter().map(String::len).max();
        assert!(longest < Some(10_000), "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_log_leaves_out_is_told_when_the_minute_ends_and_at_the_end() {
        let log = Log::default();
        let _guard = log.start();
        let desk = Arc::new(desk("interval = '1h'"));
        let stop = CancellationToken::new();
        let mut running = pin!(run(Arc::clone(&desk), Arc::default(), stop.clone()));
        for wait in [MINUTE - MILLISECOND, MILLISECOND] {
            let admitted = (0..50).filter(|_| desk.may_log(7)).count();
            assert!(admitted > 0 && log.lines().is_empty());
            let ended = timeout(wait, running.as_mut()).await;
            assert!(ended.is_err(), "no stop");
        }
        let told = log.lines();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("uid=7 topic=Agents left_out=40"),
            "{told:?}"
        );
        let admitted = (0..61).filter(|_| desk.may_log(7)).count();
        assert_eq!(admitted, 60);
        stop.cancel();
        running.await;
        let told = log.lines();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("left_out=1"), "{told:?}");
    }

    /// The next change, which comes while the rounds run.
    async fn next(rounds: impl Future<Output = ()>, changes: &mut Receiver<Delta>) -> Delta {
        tokio::select! {
            told = timeout(MINUTE, changes.recv()) => told.unwrap().unwrap(),
            () = rounds => panic!("no stop"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_configuration_is_in_force_at_once() {
        let one =
            |name: &str| format!("interval = '1h'\n[[check]]\nname = '{name}'\nprocess.name = 'a'");
        let desk = Arc::new(desk(&one("a")));
        let (_, mut changes) = desk.follow(0);
        let mut running = pin!(run(
            Arc::clone(&desk),
            Arc::default(),
            CancellationToken::new()
        ));
        let told = next(running.as_mut(), &mut changes).await;
        assert_eq!(told.subject.name, "a");
        desk.replace_config(Config::parse(&one("b"), "drift.toml".as_ref()).unwrap());
        for (name, is_watched) in [("a", false), ("b", true)] {
            let told = next(running.as_mut(), &mut changes).await;
            assert_eq!(
                (&*told.subject.name, told.finding.is_some()),
                (name, is_watched)
            );
        }
    }

    #[tokio::test]
    async fn what_an_agent_says_is_not_held_beyond_its_end() {
        let (near, far) = pair(End::new(), End::new(), Split::Whole).await.unwrap();
        let agents = Arc::new(Agents::default());
        let client = proto::AgentClient::new(far.clone());
        agents.register(7, "a".to_owned(), client).unwrap();
        let [agent] = &agents.all()[..] else {
            panic!("one agent")
        };
        let desk = Arc::new(desk(ONE));
        let result = || ("a".to_owned(), Finding::Holds).into();
        assert!(take_in(&desk, agent, result()));
        assert_eq!(desk.follow(7).0.len(), 1);
        drop(near);
        far.closed().await;
        let (_, mut changes) = desk.follow(7);
        let mut running = pin!(run(
            Arc::clone(&desk),
            agents.clone(),
            CancellationToken::new()
        ));
        assert!(take_in(&desk, agent, result()));
        assert_eq!(next(running.as_mut(), &mut changes).await.finding, None);
        assert!(take_in(&desk, agent, result()));
        assert_eq!(desk.follow(7).0, []);
        // As if it had been taken in just before.
        let (uid, name) = (Some(7), "a".to_owned());
        desk.observe(Subject { uid, name }, Finding::Holds);
        for told in [Some(Finding::Holds), None] {
            assert_eq!(next(running.as_mut(), &mut changes).await.finding, told);
        }
    }

    const MILLISECOND: Duration = Duration::from_millis(1);

    const ONE: &str = "interval = '1ms'\n[[check]]\nname = 'a'\nscope = 'user'\nprocess.name = 'a'";

    #[tokio::test]
    async fn an_agent_that_failed_a_round_is_asked_again() {
        let service = proto::AgentServer::new(Shaky::default());
        let near = End::new().service(service);
        let (_near, far) = pair(near, End::new(), Split::Whole).await.unwrap();
        let agents = Arc::new(Agents::default());
        let client = proto::AgentClient::new(far);
        agents.register(7, "shaky".to_owned(), client).unwrap();
        let desk = Arc::new(desk(ONE));
        let (_, mut changes) = desk.follow(7);
        let answer = timeout(Duration::from_secs(20), changes.recv());
        let told = tokio::select! {
            told = answer => told.unwrap().unwrap(),
            () = run(Arc::clone(&desk), agents, CancellationToken::new()) => panic!("no stop"),
        };
        assert_eq!(told.subject.uid, Some(7));
        assert_eq!(told.finding, Some(Finding::Holds));
        let totals = desk.totals();
        assert_eq!(totals.asked, totals.answered + 1);
    }
}
