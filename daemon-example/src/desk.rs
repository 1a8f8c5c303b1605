//! What the daemon knows, shared by its handlers and its rounds. No lock is held across an await.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::checks::{Drift, Finding};
use crate::config::{Config, ConfigError, Scope};
use crate::drift::{Board, Delta, Subject};
use crate::events::DaemonTotals;
use crate::lines::{Lines, Topic};
use crate::recent::Recent;

/// What the daemon knows.
#[derive(Debug)]
pub struct Desk {
    source: Source,
    state: Mutex<State>,
    changes: broadcast::Sender<Delta>,
    is_reconfigured: Notify,
}

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Given on the command line, and stronger than the file.
    pub interval: Option<Duration>,
}

impl Source {
    /// Reads the configuration; blocks.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn read(&self) -> Result<Config, ConfigError> {
        let mut config = Config::read(&self.path)?;
        config.interval = self.interval.unwrap_or(config.interval);
        Ok(config)
    }
}

#[derive(Debug)]
struct State {
    config: Arc<Config>,
    board: Board,
    reports: Recent,
    totals: DaemonTotals,
    lines: Lines,
}

impl Desk {
    /// Starts knowing nothing but the configuration.
    #[must_use]
    pub fn new(source: Source, config: Config) -> Self {
        let state = State {
            config: Arc::new(config),
            board: Board::default(),
            reports: Recent::new(REPORTS_PER_USER),
            totals: DaemonTotals::default(),
            lines: Lines::default(),
        };
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        Self {
            source,
            state: Mutex::new(state),
            changes,
            is_reconfigured: Notify::new(),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.state().config)
    }

    /// Where the configuration comes from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Puts another configuration in force and stops watching what it does not name.
    pub fn replace_config(&self, config: Config) {
        let mut state = self.state();
        state.config = Arc::new(config);
        let State {
            config,
            board,
            lines,
            ..
        } = &mut *state;
        let gone = board.retain(|subject| config.entry(scope(subject), &subject.name).is_some());
        self.tell(lines, gone);
        self.is_reconfigured.notify_one();
    }

    /// Waits for another configuration than at the last call. For one who waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future misses none.
    pub async fn reconfigured(&self) {
        self.is_reconfigured.notified().await;
    }

    /// Takes in one result. One for a check that is not in the configuration is dropped: it was
    /// under way when the configuration changed, or an agent made it up.
    pub fn observe(&self, subject: Subject, finding: Finding) {
        let mut state = self.state();
        let State {
            config,
            board,
            totals,
            lines,
            ..
        } = &mut *state;
        let Some(entry) = config.entry(scope(&subject), &subject.name) else {
            return;
        };
        totals.checks += 1;
        self.tell(lines, board.observe(subject, entry.tolerance, finding));
    }

    /// Stops watching the checks of the users that `keep` does not want.
    pub fn keep_users(&self, keep: impl Fn(u32) -> bool) {
        let mut state = self.state();
        let State { board, lines, .. } = &mut *state;
        self.tell(lines, board.retain(|subject| subject.uid.is_none_or(&keep)));
    }

    /// Takes in a report id; whether its report is to be counted.
    #[must_use]
    pub fn is_new_report(&self, uid: u32, id: &str) -> bool {
        let mut state = self.state();
        let is_new = state.reports.insert(uid, id);
        if is_new {
            state.totals.reports += 1;
        } else {
            state.totals.repeats += 1;
        }
        is_new
    }

    /// Everything `uid` may see, and each change from then on: none is missed in between.
    #[must_use]
    pub fn follow(&self, uid: u32) -> (Vec<(Subject, Finding)>, broadcast::Receiver<Delta>) {
        let state = self.state();
        let standings = state.board.standings(uid);
        let snapshot = standings.map(|(subject, finding)| (subject.clone(), finding.clone()));
        (snapshot.collect(), self.changes.subscribe())
    }

    /// Changes what is counted.
    pub fn count(&self, change: impl FnOnce(&mut DaemonTotals)) {
        change(&mut self.state().totals);
    }

    /// What has been counted.
    #[must_use]
    pub fn totals(&self) -> DaemonTotals {
        self.state().totals.clone()
    }

    /// Whether one more line of the log may be about how an agent of this user behaves.
    #[must_use]
    pub fn may_log(&self, uid: u32) -> bool {
        self.state().lines.admit(uid, Topic::Agents)
    }

    /// Tells what the log has left out; see [`Lines::end_minute`].
    pub fn end_minute(&self) {
        self.state().lines.end_minute();
    }

    /// Called under the lock of `state`, so that changes are told in the order they happened.
    fn tell(&self, lines: &mut Lines, deltas: impl IntoIterator<Item = Delta>) {
        for delta in deltas {
            let uid = delta.subject.uid;
            if uid.is_none_or(|uid| lines.admit(uid, Topic::Changes)) {
                log(&delta);
            }
            // Nobody has to be listening.
            self.changes.send(delta).ok();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking handler leaves behind is whole: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(delta: &Delta) {
    let Subject { uid, name } = &delta.subject;
    match &delta.finding {
        Some(Finding::Holds) => tracing::info!(check = name, uid, "holds"),
        // In quotes: an agent chose the words.
        Some(Finding::Drifted(Drift {
            what,
            expected,
            found,
        })) => tracing::warn!(check = name, uid, ?what, ?expected, ?found, "drifted"),
        Some(Finding::Unchecked(why)) => {
            tracing::warn!(check = name, uid, ?why, "cannot be checked");
        }
        None => tracing::info!(check = name, uid, "no longer watched"),
    }
}

const fn scope(subject: &Subject) -> Scope {
    if subject.uid.is_some() {
        Scope::User
    } else {
        Scope::System
    }
}

/// A subscriber further behind than this gets the whole state again.
const CHANGES_KEPT: usize = 256;

/// An agent repeats a report within seconds; this is hours of them.
const REPORTS_PER_USER: usize = 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lines::tests::Log;

    pub(crate) fn desk(config: &str) -> Desk {
        let source = Source {
            path: "drift.toml".into(),
            interval: None,
        };
        Desk::new(
            source,
            Config::parse(config, "drift.toml".as_ref()).unwrap(),
        )
    }

    fn subject(uid: Option<u32>, name: &str) -> Subject {
        Subject {
            uid,
            name: name.to_owned(),
        }
    }

    const TWO: &str = "
        [[check]]
        name = 'a'
        process.name = 'a'
        [[check]]
        name = 'b'
        scope = 'user'
        process.name = 'b'
    ";

    #[test]
    fn a_result_for_a_check_of_another_scope_or_name_is_dropped() {
        let desk = desk(TWO);
        desk.observe(subject(Some(7), "a"), Finding::Holds);
        desk.observe(subject(None, "b"), Finding::Holds);
        desk.observe(subject(None, "c"), Finding::Holds);
        assert_eq!((desk.follow(0).0.len(), desk.totals().checks), (0, 0));
        desk.observe(subject(None, "a"), Finding::Holds);
        desk.observe(subject(Some(7), "b"), Finding::Holds);
        assert_eq!((desk.follow(0).0.len(), desk.totals().checks), (2, 2));
    }

    #[test]
    fn who_follows_sees_the_state_and_then_the_changes() {
        let desk = desk(TWO);
        desk.observe(subject(None, "a"), Finding::Holds);
        let (snapshot, mut changes) = desk.follow(7);
        assert_eq!(snapshot, [(subject(None, "a"), Finding::Holds)]);
        desk.observe(subject(Some(7), "b"), Finding::Holds);
        desk.keep_users(|uid| uid != 7);
        let told = Delta {
            subject: subject(Some(7), "b"),
            finding: Some(Finding::Holds),
        };
        assert_eq!(changes.try_recv().unwrap(), told);
        assert_eq!(
            changes.try_recv().unwrap(),
            Delta {
                finding: None,
                ..told
            }
        );
        assert!(changes.try_recv().is_err());
    }

    #[test]
    fn another_configuration_ends_what_it_does_not_name() {
        let desk = desk(TWO);
        desk.observe(subject(None, "a"), Finding::Holds);
        let (_, mut changes) = desk.follow(7);
        desk.replace_config(Config::parse("", "drift.toml".as_ref()).unwrap());
        let told = changes.try_recv().unwrap();
        assert_eq!(
            told,
            Delta {
                subject: subject(None, "a"),
                finding: None
            }
        );
    }

    #[test]
    fn one_user_cannot_fill_the_log_with_changes() {
        let log = Log::default();
        let _guard = log.start();
        let desk = desk(TWO);
        for round in 0..1_000 {
            let why = format!("{round}");
            desk.observe(subject(Some(7), "b"), Finding::Unchecked(why));
        }
        assert_eq!(log.lines().len(), 60);
        desk.observe(subject(Some(8), "b"), Finding::Holds);
        for round in 0..100 {
            desk.observe(subject(None, "a"), Finding::Unchecked(format!("{round}")));
        }
        assert_eq!(log.lines().len(), 101);
        assert_eq!(desk.totals().checks, 1_101);
    }

    #[test]
    fn a_repeated_report_is_counted_apart() {
        let desk = desk(TWO);
        assert!(desk.is_new_report(7, "x"));
        assert!(!desk.is_new_report(7, "x"));
        assert_eq!((desk.totals().reports, desk.totals().repeats), (1, 1));
    }
}
