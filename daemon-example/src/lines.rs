//! How many lines of the log are about one user: an agent cannot fill the disk with its changes, nor
//! hide those of others among them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Lets 60 lines a minute through for each user.
#[derive(Debug, Default)]
pub struct Lines {
    users: BTreeMap<u32, Minute>,
}

#[derive(Debug)]
struct Minute {
    start: Instant,
    logged: u32,
    left_out: u64,
}

impl Lines {
    /// Whether one more line may be about this user; says how many were left out before it.
    #[must_use]
    pub fn admit(&mut self, uid: u32) -> bool {
        let minute = self.minute(uid, Instant::now());
        if minute.logged == LINES {
            minute.left_out = minute.left_out.saturating_add(1);
            return false;
        }
        minute.logged += 1;
        let left_out = std::mem::take(&mut minute.left_out);
        if left_out > 0 {
            tracing::warn!(uid, left_out, "too many lines about this user");
        }
        true
    }

    fn minute(&mut self, uid: u32, now: Instant) -> &mut Minute {
        let first = Minute {
            start: now,
            logged: 0,
            left_out: 0,
        };
        let minute = self.users.entry(uid).or_insert(first);
        if now.duration_since(minute.start) >= MINUTE {
            minute.start = now;
            minute.logged = 0;
        }
        minute
    }
}

const LINES: u32 = 60;

const MINUTE: Duration = Duration::from_secs(60);

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

    fn admitted(lines: &mut Lines, uid: u32, times: u32) -> u32 {
        (0..times).map(|_| u32::from(lines.admit(uid))).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_some_lines_a_minute_and_takes_none_of_others() {
        let log = Log::default();
        let _guard = log.start();
        let mut lines = Lines::default();
        assert_eq!(admitted(&mut lines, 501, 1_000), LINES);
        assert_eq!(admitted(&mut lines, 502, 1), 1);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(admitted(&mut lines, 501, 1), 0);
        assert_eq!(log.lines(), [""; 0]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(admitted(&mut lines, 501, 1_000), LINES);
        let told = log.lines();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("uid=501 left_out=941"), "{told:?}");
    }
}
