//! Memory of the server for each connection that has called once and is idle.

use bytes::Bytes;
use serde::Serialize;

use crate::error::Error;
use crate::machine::{Machine, raise_descriptors, resident};
use crate::output::Format;
use crate::process::{Pinning, Server, Setup, folder};
use crate::report::float;
use crate::transport::{Async as _, Client as _, Ipc, Transport};
use crate::workload::{Flavor, Workload};

/// What to hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connections to hold
    #[arg(long, default_value_t = 1_000)]
    connections: u32,
    /// Bytes of the payload of the one call each has made
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// The runtime of both sides
    #[arg(long, default_value = "current_thread")]
    runtime: Flavor,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Held {
    machine: Machine,
    runtime: Flavor,
    connections: u32,
    rss_bytes_before: u64,
    rss_bytes_after: u64,
    rss_bytes_per_connection: f64,
}

/// Connections that come and go before the count, so that what the server allots once is there.
const FIRST: u32 = 16;

pub(crate) fn idle(args: &Args) -> Result<(), Error> {
    raise_descriptors()?;
    let folder = folder()?;
    let socket = folder.path().join("s");
    let workload = Workload {
        payload: args.payload,
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        deadline: false,
        ..Workload::new(Transport::Ipc, args.runtime)
    };
    let target = workload.target(socket.clone());
    let setup = Setup::new(workload, Pinning::None);
    let server = Server::start(&setup, &socket)?;
    let hold = async |count: u32| {
        let mut clients = Vec::new();
        for _ in 0..count {
            let client = Ipc::connect(&target).await?;
            let payload = Bytes::from(vec![7; args.payload]);
            let echoed = client.echo(payload).await;
            echoed.map_err(|failure| Error::Failed(failure.to_string()))?;
            clients.push(client);
        }
        Ok::<_, Error>(clients)
    };
    let (before, after) = args.runtime.build()?.block_on(async {
        drop(hold(FIRST).await?);
        let before = resident(server.pid())?;
        let clients = hold(args.connections).await?;
        let after = resident(server.pid())?;
        drop(clients);
        Ok::<_, Error>((before, after))
    })?;
    server.stop()?;
    let held = Held {
        machine: Machine::this(),
        runtime: args.runtime,
        connections: args.connections,
        rss_bytes_before: before,
        rss_bytes_after: after,
        rss_bytes_per_connection: float(after.saturating_sub(before))
            / f64::from(args.connections.max(1)),
    };
    args.format.show(&held, lines)
}

fn lines(held: &Held) -> Vec<String> {
    let kib = |bytes: u64| float(bytes) / 1_024.0;
    vec![
        held.machine.line(),
        format!(
            "{} idle connections, {}: {:.0} KiB before, {:.0} KiB with them, {:.2} KiB each",
            held.connections,
            held.runtime,
            kib(held.rss_bytes_before),
            kib(held.rss_bytes_after),
            held.rss_bytes_per_connection / 1_024.0
        ),
    ]
}
