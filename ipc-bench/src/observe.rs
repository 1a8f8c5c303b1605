//! What another process uses, as the system tells it: `/proc` where there is one, else `ps` and
//! `lsof`.

use std::fs;
use std::process::Command;

use nix::unistd::{SysconfVar, sysconf};

use crate::error::Error;
use crate::machine::resident;

/// A process of somebody's, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Resident memory in bytes.
    pub(crate) fn rss_bytes(self) -> Result<u64, Error> {
        match resident(self.0)? {
            0 => Err(Error::Unreadable {
                what: "the memory of a process that has ended",
                text: self.0.to_string(),
            }),
            bytes => Ok(bytes),
        }
    }

    /// CPU time in microseconds, user and system, of all threads it ever had. In steps of 10 ms.
    pub(crate) fn cpu_us(self) -> Result<u64, Error> {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.0)) else {
            let text = said("ps", &["-o", "time=", "-p", &self.0.to_string()])?;
            let what = "the CPU time from ps";
            return ps_time(text.trim()).ok_or(Error::Unreadable { what, text });
        };
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
        let per_second = per_second.and_then(|ticks| u64::try_from(ticks).ok());
        let used = ticks(&stat)
            .zip(per_second)
            .map(|(ticks, per_second)| ticks * SECOND / per_second);
        used.ok_or(Error::Unreadable {
            what: "the CPU time from /proc",
            text: stat,
        })
    }

    /// Context switches of the threads it has now, voluntary and not; none where only the process
    /// itself may know.
    pub(crate) fn switches(self) -> Option<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).ok()?;
        let statuses = threads
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
        Some(statuses.map(|status| switched(&status)).sum())
    }

    /// Open descriptors; none where this user may not count them.
    pub(crate) fn descriptors(self) -> Option<u64> {
        let count = match fs::read_dir(format!("/proc/{}/fd", self.0)) {
            Ok(open) => open.count(),
            Err(_) if fs::exists("/proc/self/fd").unwrap_or(false) => return None,
            Err(_) => {
                let listed = said("lsof", &["-nP", "-a", "-p", &self.0.to_string(), "-F", "f"]);
                listed
                    .ok()?
                    .lines()
                    .filter(|line| is_numbered(line))
                    .count()
            }
        };
        u64::try_from(count).ok().filter(|&count| count > 0)
    }
}

/// Microseconds.
const SECOND: u64 = 1_000_000;

fn said(program: &'static str, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(Error::io("a program that observes processes cannot be run"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// User and system time of `/proc/<pid>/stat`, fields 14 and 15 of proc_pid_stat(5); the name in
/// front of them may have spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// `[[dd-]hh:]mm:ss[.cc]` in microseconds.
fn ps_time(text: &str) -> Option<u64> {
    let (days, time) = text.split_once('-').unwrap_or(("0", text));
    let (whole, part) = time.split_once('.').unwrap_or((time, "0"));
    let mut seconds = 0;
    for unit in whole.split(':') {
        seconds = seconds * 60 + unit.parse::<u64>().ok()?;
    }
    seconds += days.parse::<u64>().ok()? * 86_400;
    let micros = format!("{part:0<6}").parse::<u64>().ok()?;
    Some(seconds * SECOND + micros)
}

fn switched(status: &str) -> u64 {
    let counts = status
        .lines()
        .filter(|line| line.contains("voluntary_ctxt_switches:"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    counts.sum()
}

/// A line of `lsof -F f` that stands for a descriptor, not for a mapped file or a folder.
fn is_numbered(line: &str) -> bool {
    let number = line.strip_prefix('f');
    number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_proc_are_read_whatever_the_name_is() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 0 0 0 21 34 5 6 20 0 1 0 0 0 0";
        assert_eq!(ticks(stat), Some(55));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn the_times_of_ps_are_read_on_both_systems() {
        assert_eq!(ps_time("0:01.25"), Some(1_250_000)); // macOS
        assert_eq!(ps_time("61:01.5"), Some(3_661_500_000));
        assert_eq!(ps_time("01:00:02"), Some(3_602_000_000)); // Linux
        assert_eq!(ps_time("1-00:00:01"), Some(86_401_000_000));
        assert_eq!(ps_time("-"), None);
    }

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t30\nnonvoluntary_ctxt_switches:\t12\n";
        assert_eq!(switched(status), 42);
    }

    #[test]
    fn mapped_files_are_no_descriptors() {
        let lines = ["p7", "fcwd", "ftxt", "f0", "f12"];
        let numbered = lines.into_iter().filter(|line| is_numbered(line));
        assert_eq!(numbered.count(), 2);
    }

    #[test]
    fn this_process_uses_something() {
        let this = Process(std::process::id());
        assert!(this.rss_bytes().unwrap() > 0);
        assert!(this.cpu_us().is_ok());
        assert!(this.descriptors().is_none_or(|count| count > 2));
    }
}
