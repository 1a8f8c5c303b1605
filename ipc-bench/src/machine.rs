//! The machine a figure comes from.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::utsname::uname;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What stands beside every figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    os: String,
    kernel: String,
    arch: String,
    cores: usize,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let name = uname();
        let (os, kernel) = name
            .as_ref()
            .map(|name| (text(Some(name.sysname())), text(Some(name.release()))))
            .unwrap_or_default();
        Self {
            os,
            kernel,
            arch: std::env::consts::ARCH.into(),
            cores: available_parallelism().map_or(1, usize::from),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self {
            os,
            kernel,
            arch,
            cores,
        } = self;
        format!("{os} {kernel}, {arch}, {cores} cores")
    }
}

/// Allows as many descriptors as the hard limit does.
pub(crate) fn raise_descriptors() -> Result<u64, Error> {
    let refused = |errno: nix::Error| Error::Io {
        what: "the limit of open files cannot be changed",
        source: errno.into(),
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(refused)?;
    // macOS takes no more than OPEN_MAX here, whatever the hard limit says.
    let wanted = hard.min(MOST);
    if soft >= wanted {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(refused)?;
    Ok(wanted)
}

/// How many connections a server takes at most within a limit of descriptors.
pub(crate) const fn most_seats(limit: u64) -> u64 {
    limit / EACH
}

/// How many agents a server takes within a limit of descriptors; see ServerBuilder::bind.
pub(crate) const fn most_agents(limit: u64) -> u64 {
    limit.saturating_sub(OTHERS) / EACH
}

/// As many of these agents as fit into one process, and the servers in it that take them: a server
/// counts on more descriptors than an agent holds, so several together hold more than one.
pub(crate) fn most_idle(limit: u64, wanted: u64) -> Option<(u64, u64)> {
    let fits = |servers: u64| limit.saturating_sub(OWN + servers * PER_SERVER) / HELD;
    let servers = wanted.min(fits(1)).div_ceil(most_agents(limit).max(1));
    let agents = wanted.min(fits(servers)).min(servers * most_agents(limit));
    (agents > 0).then_some((agents, servers))
}

/// Descriptors that a server must have for each connection to take it.
const EACH: u64 = 4;
/// Those that an idle connection holds: its socket, and a pidfd where there are any.
const HELD: u64 = 2;
/// Those of a process, and those of a connection that comes.
const OWN: u64 = 64;
/// Those of a server: its socket, its lock, the folder and what watches it.
const PER_SERVER: u64 = 8;
/// Descriptors that are not for connections, and spare connections while others come and go.
const OTHERS: u64 = 512;
/// The most descriptors any measurement asks for.
const MOST: u64 = 65_536;

/// Asks to be woken when a wait ends and not up to 50 us later, where the system can be asked
/// (timerslack_ns, proc_pid_timerslack_ns(5)). Threads that are started afterwards inherit it.
pub(crate) fn sharpen_timers() {
    // Elsewhere waits are as exact as they are; lateness is part of what is measured.
    fs::write("/proc/self/timerslack_ns", "1").ok();
}

/// Resident memory of a process, in bytes.
///
/// Linux counts lazily what `ps` prints (`SPLIT_RSS_COUNTING`), off by up to 64 pages a thread;
/// `smaps_rollup` walks the page tables instead.
pub(crate) fn resident(pid: u32) -> Result<u64, Error> {
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let exact = exact.and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("Rss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    if let Some(kib) = exact {
        return Ok(kib * 1_024);
    }
    let output = Command::new("ps")
        .args(["-o", "rss=", "-p", &pid.to_string()])
        .output()
        .map_err(Error::io("ps cannot be run"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match text.parse::<u64>() {
        Ok(kib) => Ok(kib * 1_024),
        Err(_) => Err(Error::Unreadable {
            what: "the resident size from ps",
            text,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_agents_are_as_many_as_descriptors_allow_and_no_server_has_too_many() {
        assert_eq!(most_idle(65_536, 10_000), Some((10_000, 1)));
        assert_eq!(most_idle(20_000, 10_000), Some((9_956, 3)));
        assert_eq!(most_idle(20_000, 100), Some((100, 1)));
        assert_eq!(most_idle(700, 100), Some((100, 3)));
        assert_eq!(most_idle(512, 100), None);
        for limit in 513..30_000 {
            if let Some((agents, servers)) = most_idle(limit, 10_000) {
                assert!(agents.div_ceil(servers) <= most_agents(limit), "{limit}");
                assert!(
                    agents * HELD + servers * PER_SERVER + OWN <= limit,
                    "{limit}"
                );
            }
        }
    }
}
