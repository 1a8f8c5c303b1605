//! Starts this program again, as the server and the clients of a measurement.

mod clients;
mod folder;
mod pinning;
mod server;
mod strace;
mod watched;

pub(crate) use self::clients::Clients;
pub(crate) use self::folder::Folder;
pub(crate) use self::pinning::{Pinning, is_there};
pub(crate) use self::server::Server;
pub(crate) use self::strace::{PerCall, can_trace, trace};
use self::watched::{Daemon, Watched};

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use self::pinning::{Role, cores};
use crate::error::Error;
use crate::load::ticks;
use crate::meter::Part;
use crate::report::row::Sides;
use crate::usage::Usage;
use crate::workload::Workload;

/// One measurement: what is called how, and where.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Of all client processes together.
    pub(crate) workload: Workload,
    pub(crate) pinning: Pinning,
    /// Client processes.
    pub(crate) processes: usize,
    /// Users that the client processes belong to, in turn; that of this process if there is none.
    pub(crate) uids: Vec<u32>,
    /// Files into which strace counts, for the server and the client.
    pub(crate) strace: Option<(PathBuf, PathBuf)>,
}

impl Setup {
    /// One client process, not traced.
    pub(crate) fn new(workload: Workload, pinning: Pinning) -> Self {
        Self {
            workload,
            pinning,
            processes: 1,
            uids: Vec::new(),
            strace: None,
        }
    }

    /// Connections that the server has at the same time.
    pub(crate) fn seats(&self) -> usize {
        let shares = (0..self.processes).map(|index| self.workload.share(index, self.processes));
        shares.map(|share| share.seats()).sum()
    }

    /// The user that one of the client processes belongs to.
    fn uid(&self, index: usize) -> Option<u32> {
        let at = index.checked_rem(self.uids.len())?;
        self.uids.get(at).copied()
    }
}

/// What one measurement found.
#[derive(Debug)]
pub(crate) struct Measured {
    /// How long was measured, until the last call had ended.
    pub(crate) seconds: f64,
    pub(crate) total: Part,
    /// What was counted in each interval, and when it ended.
    pub(crate) ticks: Vec<(Duration, Part)>,
    pub(crate) usage: Sides<Usage>,
    /// Resident bytes before the first connection (of the server) and with all of them.
    pub(crate) rss_before: u64,
    pub(crate) rss: Sides<u64>,
}

/// Measures once, with clients of its own, and a server too unless they attach to somebody's.
/// `live` sees each tick as it comes.
pub(crate) fn measure(
    setup: &Setup,
    live: &mut dyn FnMut(usize, &Part),
) -> Result<Measured, Error> {
    if let Some(attached) = &setup.workload.attached {
        let mut daemon = Daemon::new(attached.pid);
        return under_load(setup, &attached.place.socket, &mut daemon, live);
    }
    let folder = Folder::new()?;
    if setup.workload.crowd {
        // Others may pass through, but not look.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).map_err(Error::io(
            "the folder of the socket cannot be opened to others",
        ))?;
    }
    let socket = folder.path().join("s");
    let mut server = Server::start(setup, &socket)?;
    let measured = under_load(setup, &socket, &mut server, live)?;
    server.stop()?;
    Ok(measured)
}

/// Measures what serves at a socket, with clients of its own.
fn under_load(
    setup: &Setup,
    socket: &Path,
    server: &mut impl Watched,
    live: &mut dyn FnMut(usize, &Part),
) -> Result<Measured, Error> {
    let rss_before = server.resident()?;
    let mut clients = Clients::start(setup, socket)?;
    let (warm_up, window) = setup.workload.amount.times();
    clients.go()?;
    thread::sleep(warm_up);
    let before = server.usage()?;
    clients.finish(window, live)?;
    let after = server.usage()?;
    let rss = Sides {
        client: clients.resident()?,
        server: server.resident()?,
    };
    let mut total = clients.rest.clone();
    let each = ticks(window).1;
    let number = |tick: usize| u32::try_from(tick + 1).unwrap_or(u32::MAX);
    let ticks = clients.ticks.iter().map(|(tick, part)| {
        total.add(part);
        (each * number(*tick), part.clone())
    });
    let measured = Measured {
        ticks: ticks.collect(),
        seconds: clients.seconds,
        total,
        usage: Sides {
            client: clients.usage,
            server: after.since(before),
        },
        rss_before,
        rss,
    };
    clients.stop()?;
    Ok(measured)
}

/// This program behind `strace` and `taskset`, as wanted; each replaces itself by the next.
fn command(role: Role, pinning: Pinning, strace: Option<&Path>) -> Result<Command, Error> {
    let this = std::env::current_exe().map_err(Error::io("this program cannot be found"))?;
    let mut words = Vec::<OsString>::new();
    if let Some(file) = strace {
        words.extend(["strace", "-f", "-c", "-o"].map(Into::into));
        words.push(file.into());
    }
    if let Some(core) = pinning.core(role, &cores()) {
        words.extend(["taskset", "-c", &core.to_string()].map(Into::into));
    }
    words.push(this.into());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    Ok(command)
}

/// How long a process may take for what is no measurement: to begin, to connect, to end.
const PATIENCE: Duration = Duration::from_secs(60);

fn ended(role: Role, what: impl Into<String>) -> Error {
    let (role, what) = (role.name(), what.into());
    Error::Process { role, what }
}
