//! The server process of a measurement; ends when its standard input does.

use std::io::Read as _;
use std::path::PathBuf;
use std::thread;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::rpc::Flavor;
use crate::{machine, output, rpc, socket};

/// What carries the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// A standard library socket, blocking.
    Raw,
    /// This crate.
    Ipc,
}

impl Transport {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Ipc => "ipc",
        }
    }
}

/// A server of one transport.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) transport: Transport,
    #[arg(long)]
    pub(crate) socket: PathBuf,
    #[arg(long)]
    pub(crate) runtime: Flavor,
}

/// What a server prints once it listens.
pub(crate) const READY: &str = "ready";

pub(crate) fn serve(args: &Args) -> Result<(), Error> {
    machine::raise_descriptors()?;
    let ready = || output::print(READY);
    match args.transport {
        Transport::Raw => {
            socket::serve(&args.socket, ready)?;
            wait_for_eof();
            Ok(())
        }
        Transport::Ipc => {
            let (stop, stopped) = oneshot::channel::<()>();
            thread::spawn(move || {
                wait_for_eof();
                drop(stop);
            });
            let runtime = args.runtime.build()?;
            runtime.block_on(rpc::serve(&args.socket, ready, stopped))
        }
    }
}

/// Returns when the process that started this one has gone, or wants it to go.
fn wait_for_eof() {
    while std::io::stdin()
        .read(&mut [0; 64])
        .is_ok_and(|read| read > 0)
    {}
}
