//! How many lines of the log are about one user: an agent cannot fill the disk with its changes, nor
//! hide those of others among them.

use std::collections::BTreeMap;
use std::time::Duration;

/// Lets 60 lines through for each user and topic, until the minute ends.
///
/// Who holds it calls [`Self::end_minute`]: what was left out is told even if nothing follows.
#[derive(Debug, Default)]
pub struct Lines {
    asked: BTreeMap<(u32, Topic), u64>,
}

/// What a line is about. Each has an allowance of its own: with the one, nothing of the other is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// How checks stand.
    Changes,
    /// How agents behave.
    Agents,
}

impl Lines {
    /// Whether one more line may be about this user.
    #[must_use]
    pub fn admit(&mut self, uid: u32, topic: Topic) -> bool {
        let asked = self.asked.entry((uid, topic)).or_default();
        *asked = asked.saturating_add(1);
        *asked <= ALLOWED
    }

    /// Tells how many lines were left out, and starts the next minute.
    pub fn end_minute(&mut self) {
        for ((uid, topic), asked) in std::mem::take(&mut self.asked) {
            let left_out = asked.saturating_sub(ALLOWED);
            if left_out > 0 {
                tracing::warn!(uid, ?topic, left_out, "too many lines about this user");
            }
        }
    }
}

const ALLOWED: u64 = 60;

/// How long an allowance lasts.
pub const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::Dispatch;
    use tracing::dispatcher::DefaultGuard;

    use super::*;

    /// The lines that an operator would see while this lives, of this thread.
    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        pub(crate) fn start(&self) -> (DefaultGuard, Dispatch) {
            let log = self.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || log.clone());
            // While there is only one, a line's first thread decides for all whether it is wanted.
            let second = Dispatch::new(tracing_subscriber::fmt().finish());
            (tracing::dispatcher::set_default(&subscriber.into()), second)
        }

        pub(crate) fn lines(&self) -> Vec<String> {
            let text = std::mem::take(&mut *self.0.lock().unwrap());
            let text = String::from_utf8(text).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn admitted(lines: &mut Lines, uid: u32, topic: Topic, times: u32) -> u64 {
        let admitted = (0..times).map(|_| u64::from(lines.admit(uid, topic)));
        admitted.sum()
    }

    #[test]
    fn a_user_has_some_lines_a_minute_and_takes_none_of_others() {
        let log = Log::default();
        let _guard = log.start();
        let mut lines = Lines::default();
        assert_eq!(admitted(&mut lines, 501, Topic::Agents, 1_000), ALLOWED);
        assert_eq!(admitted(&mut lines, 502, Topic::Agents, 1), 1);
        assert_eq!(admitted(&mut lines, 501, Topic::Agents, 1), 0);
        assert_eq!(log.lines(), [""; 0]);
        lines.end_minute();
        let told = log.lines();
        assert_eq!(told.len(), 1, "{told:?}");
        let found = "uid=501 topic=Agents left_out=941";
        assert!(told[0].contains(found), "{told:?}");
        assert_eq!(admitted(&mut lines, 501, Topic::Agents, 1_000), ALLOWED);
    }

    #[test]
    fn an_agent_that_misbehaves_hides_no_change() {
        let mut lines = Lines::default();
        assert_eq!(admitted(&mut lines, 501, Topic::Agents, 1_000), ALLOWED);
        assert_eq!(admitted(&mut lines, 501, Topic::Changes, 1_000), ALLOWED);
        assert_eq!(admitted(&mut lines, 501, Topic::Agents, 1), 0);
    }
}
