//! The server process of a measurement; ends when its standard input does.

use std::fs::{self, Permissions};
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::transport::{Async, Transport};
use crate::usage::Usage;
use crate::workload::Flavor;
use crate::{machine, output};

/// A server of one transport.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    transport: Transport,
    #[arg(long)]
    socket: PathBuf,
    /// Sockets of further servers in this process; ipc only
    #[arg(long)]
    further: Vec<PathBuf>,
    #[arg(long)]
    runtime: Flavor,
    /// Connections that each socket has at the same time
    #[arg(long)]
    connections: u32,
    /// Lets every user in
    #[arg(long)]
    crowd: bool,
}

/// What a server prints once it listens.
pub(crate) const READY: &str = "ready";
/// The line that asks for what it has used; it answers with a line of JSON.
pub(crate) const USAGE: &str = "usage";

pub(crate) fn serve(args: Args) -> Result<(), Error> {
    let descriptors = machine::raise_descriptors()?;
    machine::sharpen_timers();
    let (stop, stopped) = oneshot::channel();
    args.transport.serve(Serving {
        socket: args.socket,
        further: args.further,
        descriptors,
        runtime: args.runtime,
        connections: args.connections,
        crowd: args.crowd,
        stop,
        stopped,
    })
}

/// What a serving half is given.
pub(crate) struct Serving {
    pub(crate) socket: PathBuf,
    /// Sockets of further servers in this process.
    pub(crate) further: Vec<PathBuf>,
    /// The limit of descriptors of this process.
    pub(crate) descriptors: u64,
    pub(crate) runtime: Flavor,
    /// Connections that each socket has at the same time.
    pub(crate) connections: u32,
    /// Whether every user is let in.
    pub(crate) crowd: bool,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Serving {
    /// Runs the serving half of an asynchronous transport.
    pub(crate) fn run<T: Async>(self) -> Result<(), Error> {
        self.runtime.build()?.block_on(T::serve(self))
    }

    /// Says that calls can come. What it gives is done once the server is to stop; it can be
    /// awaited, or waited for by `blocking_recv`.
    pub(crate) fn listens(self) -> Result<oneshot::Receiver<()>, Error> {
        if self.crowd {
            // Most transports bind as the umask has it.
            let open = fs::set_permissions(&self.socket, Permissions::from_mode(0o666));
            open.map_err(Error::io("the socket cannot be opened to others"))?;
        }
        let Self { stop, stopped, .. } = self;
        thread::spawn(move || {
            if let Err(error) = answer() {
                output::complain(&error);
            }
            drop(stop);
        });
        output::print(READY)?;
        Ok(stopped)
    }
}

/// Tells what this process has used, as often as it is asked, until nobody is left to ask.
fn answer() -> Result<(), Error> {
    for line in std::io::stdin().lock().lines() {
        if line.is_ok_and(|line| line == USAGE) {
            output::print(&serde_json::to_string(&Usage::now()?)?)?;
        }
    }
    Ok(())
}
