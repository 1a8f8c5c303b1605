//! A way out that holds nobody up: a thread of its own writes, and nothing waits long for one who does not read.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The near end of the way out.
#[derive(Clone, Debug)]
pub struct Pump {
    queue: mpsc::Sender<Job>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Write(Vec<u8>),
    Tell(oneshot::Sender<()>),
}

impl Pump {
    /// Starts the thread, which ends when all clones are dropped and what they sent is written.
    #[must_use]
    pub fn start(to: impl Write + Send + 'static) -> Self {
        let (queue, jobs) = mpsc::channel(LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&left_out);
        let thread = std::thread::Builder::new().name("pump".into());
        // Without a thread there is no way out, and what is sent is dropped.
        thread.spawn(move || write_all(jobs, to, &counter)).ok();
        Self { queue, left_out }
    }

    /// Sends one line; waits for room.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the line is sent as a whole or not at all.
    pub async fn send(&self, line: Vec<u8>) {
        self.queue.send(Job::Write(line)).await.ok();
    }

    /// Sends one line if there is room. Where there is none, how many were left out is told later.
    pub fn offer(&self, line: &[u8]) {
        if self.queue.try_send(Job::Write(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a last line and waits until all is written, but not for longer than a second.
    pub async fn end(&self, line: Option<Vec<u8>>) {
        let (tell, told) = oneshot::channel();
        let written = async {
            if let Some(line) = line {
                self.send(line).await;
            }
            self.queue.send(Job::Tell(tell)).await.ok();
            told.await.ok();
        };
        timeout(PATIENCE, written).await.ok();
    }
}

fn write_all(mut jobs: mpsc::Receiver<Job>, mut to: impl Write, left_out: &AtomicU64) {
    while let Some(job) = jobs.blocking_recv() {
        // Without a reader there is nobody to tell; whoever waits is told all the same.
        match job {
            Job::Write(line) => to.write_all(&line).and_then(|()| to.flush()).ok(),
            Job::Tell(tell) => tell.send(()).ok(),
        };
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            writeln!(to, "{count} lines left out: they were not read in time").ok();
        }
    }
}

/// The lines that a minute of a busy program may have.
const LINES: usize = 4096;

/// What is read at all is read within this.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};

    use super::*;

    #[tokio::test]
    async fn what_is_not_read_in_time_is_left_out_and_counted() {
        let (mut reader, writer) = pipe().unwrap();
        let pump = Pump::start(writer);
        // More than a pipe and the queue take.
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        for _ in 0..2 * LINES {
            pump.offer(&line);
        }
        pump.end(None).await;
        drop(pump);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let told = text
            .lines()
            .filter_map(|line| line.split_once(" lines left out"));
        let left_out: usize = told.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
        let written = text.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(written + left_out, 2 * LINES);
        assert!(left_out > 0);
    }
}
