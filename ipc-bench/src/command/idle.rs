//! What idle agents cost a server: memory, and wake-ups that nobody called for.

use std::thread;
use std::time::Duration;

use clap::value_parser;
use serde::{Deserialize, Serialize};

use super::effort::seconds;
use crate::error::Error;
use crate::machine::{Machine, most_idle, raise_descriptors, resident};
use crate::output::{Format, say};
use crate::process::{Clients, Folder, Pinning, Server, Setup};
use crate::report::float;
use crate::transport::Transport;
use crate::workload::{Flavor, Workload};

/// What to hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connections to hold
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Bytes of the payload of the one call each has made
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Seconds in which wake-ups of the server are counted, once without connections and once with
    #[arg(long, default_value = "5", value_parser = seconds)]
    window: f64,
    /// Seconds before each count: memory is let go, and the deadlines of handshakes, 5 s, pass
    #[arg(long, default_value = "6", value_parser = seconds)]
    settle: f64,
    /// The runtime of both sides
    #[arg(long, default_value = "current_thread")]
    runtime: Flavor,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Found {
    machine: Machine,
    #[serde(flatten)]
    held: Held,
}

/// What a server held, and how often it woke up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) runtime: Flavor,
    pub(crate) connections: u32,
    rss_bytes_before: u64,
    rss_bytes_after: u64,
    pub(crate) rss_bytes_per_connection: f64,
    /// Seconds in which wake-ups were counted.
    window_s: f64,
    /// Voluntary context switches of the server with all connections, less those without one.
    pub(crate) wakeups_per_minute: f64,
}

/// Connections that come and go before the count, so that what the server allots once is there.
const FIRST: u32 = 16;

pub(crate) fn idle(args: &Args) -> Result<(), Error> {
    let workload = Workload {
        payload: args.payload,
        ..Workload::new(Transport::Ipc, args.runtime)
    };
    let found = Found {
        machine: Machine::this(),
        held: hold(&workload, args.connections, [args.settle, args.window])?,
    };
    args.format.show(&found, lines)
}

/// Holds so many connections to a server process of its own, or as many as its limit of descriptors
/// allows, each after one call; and counts its wake-ups without them and with them, each time after
/// so many seconds and for so many.
pub(super) fn hold(workload: &Workload, wanted: u32, times: [f64; 2]) -> Result<Held, Error> {
    let (connections, servers) = room(raise_descriptors()?, wanted)?;
    let folder = Folder::new()?;
    let sockets = (0..servers).map(|index| folder.path().join(index.to_string()));
    let sockets = sockets.collect::<Vec<_>>();
    let with = |connections: u32| Workload {
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
        deadline: false,
        ..workload.clone()
    };
    let each = Setup::new(with(connections.div_ceil(servers)), Pinning::None);
    let mut server = Server::start_several(&each, &sockets)?;
    Clients::hold(&with(FIRST), &sockets)?.stop()?;
    let before = Moment::after(&mut server, times)?;
    let clients = Clients::hold(&with(connections), &sockets)?;
    let after = Moment::after(&mut server, times)?;
    clients.stop()?;
    server.stop()?;
    let ([_, window], moments) = (times, [before, after]);
    Ok(Held::of(workload.runtime, connections, window, moments))
}

/// How many connections there are room for, and by how many servers; a word where they are fewer
/// than is wanted.
fn room(limit: u64, wanted: u32) -> Result<(u32, u32), Error> {
    let most = most_idle(limit, wanted.into());
    let (agents, servers) = most.ok_or(Error::TooMany {
        agents: wanted,
        most: 0,
    })?;
    if agents < u64::from(wanted) {
        say(&format!(
            "the limit of open files allows {agents} idle agents, not {wanted}"
        ));
    }
    let count = |count: u64| u32::try_from(count).unwrap_or(wanted);
    Ok((count(agents), count(servers)))
}

impl Held {
    /// By a moment without connections and one with them.
    fn of(runtime: Flavor, connections: u32, window: f64, [before, after]: [Moment; 2]) -> Self {
        let rss = float(after.rss_bytes.saturating_sub(before.rss_bytes));
        let wakeups = float(after.wakeups.saturating_sub(before.wakeups));
        Self {
            runtime,
            connections,
            rss_bytes_before: before.rss_bytes,
            rss_bytes_after: after.rss_bytes,
            rss_bytes_per_connection: rss / f64::from(connections.max(1)),
            window_s: window,
            wakeups_per_minute: wakeups * MINUTE / window,
        }
    }
}

/// What a server holds, and how often it woke up on the way to here.
struct Moment {
    rss_bytes: u64,
    wakeups: u64,
}

impl Moment {
    fn after(server: &mut Server, [settle, window]: [f64; 2]) -> Result<Self, Error> {
        thread::sleep(Duration::from_secs_f64(settle));
        let before = server.usage()?;
        thread::sleep(Duration::from_secs_f64(window));
        let used = server.usage()?.since(before);
        Ok(Self {
            rss_bytes: resident(server.pid())?,
            wakeups: u64::try_from(used.waits).unwrap_or_default(),
        })
    }
}

fn lines(found: &Found) -> Vec<String> {
    let kib = |bytes: u64| float(bytes) / 1_024.0;
    let held = &found.held;
    vec![
        found.machine.line(),
        format!(
            "{} idle connections, {}: {:.0} KiB before, {:.0} KiB with them, {:.2} KiB each",
            held.connections,
            held.runtime,
            kib(held.rss_bytes_before),
            kib(held.rss_bytes_after),
            held.rss_bytes_per_connection / 1_024.0
        ),
        format!(
            "wake-ups of the server that they cause: {:.0} per minute, by {} s",
            held.wakeups_per_minute, held.window_s
        ),
    ]
}

/// Seconds.
const MINUTE: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_does_without_connections_is_not_theirs() {
        let moments =
            [(10_000, 3), (50_000, 7)].map(|(rss_bytes, wakeups)| Moment { rss_bytes, wakeups });
        let held = Held::of(Flavor::CurrentThread, 10, 5.0, moments);
        assert_eq!(held.rss_bytes_per_connection.to_string(), "4000");
        assert_eq!(held.wakeups_per_minute.to_string(), "48");
    }
}
