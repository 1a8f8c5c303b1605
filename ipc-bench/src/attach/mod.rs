//! A daemon that somebody else wrote: what it offers, and how it is called.

mod encoded;
mod error;
mod load;
mod prepare;
mod schema;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use error::Error;
pub(crate) use load::{Attached, load};
pub(crate) use prepare::{Asked, echo, prepare};

/// Where a daemon is, and who it is.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The socket of the daemon
    #[arg(long)]
    pub(crate) socket: PathBuf,
    /// A user the daemon may run as, by number, beside root and this one
    #[arg(long, value_name = "UID")]
    trust: Option<u32>,
    /// The process of the daemon, where another one listens for it: launchd, systemd
    #[arg(long)]
    pid: Option<u32>,
}

impl Place {
    /// A daemon of this user's.
    pub(crate) const fn at(socket: PathBuf) -> Self {
        Self {
            socket,
            trust: None,
            pid: None,
        }
    }
}
