//! A process of some name is alive.

use std::path::Path;
use std::process::Stdio;
use std::{fs, io};

use super::{Finding, Runner};

/// Asserts that a process of this name is alive, whoever runs it, as far as the runner may see.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The name of its program, without folders.
    pub name: String,
}

impl Process {
    pub(super) async fn run(&self, runner: &Runner) -> Finding {
        let name = runner.fill_in(&self.name);
        match is_alive(name.clone()).await {
            Ok(true) => Finding::Holds,
            Ok(false) => Finding::drifted(format!("process {name}"), "alive", "none"),
            Err(error) => Finding::Unchecked(format!("cannot list processes: {error}")),
        }
    }
}

async fn is_alive(name: String) -> io::Result<bool> {
    let proc = Path::new("/proc");
    if !tokio::fs::try_exists(proc.join("self/stat")).await? {
        return Ok(ps_lists(&ask_ps().await?, &name));
    }
    tokio::task::spawn_blocking(move || proc_lists(proc, &name)).await?
}

/// Systems without `/proc`, such as macOS, answer through `ps`.
async fn ask_ps() -> io::Result<String> {
    let output = tokio::process::Command::new("ps")
        .args(["-ax", "-o", "stat=", "-o", "comm="])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err(io::Error::other(format!("ps ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ps_lists(output: &str, name: &str) -> bool {
    output
        .lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .any(|(state, program)| {
            let base = program.trim().rsplit('/').next();
            !state.starts_with('Z') && base == Some(name)
        })
}

fn proc_lists(proc: &Path, name: &str) -> io::Result<bool> {
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        let is_pid = entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit);
        // A process may end between the listing and the look.
        if is_pid
            && let Ok(stat) = fs::read(entry.path().join("stat"))
            && let Some(comm) = living_comm(&stat)
            && (comm == name.as_bytes() || is_cut(comm, name) && runs(&entry.path(), name))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The name in `/proc/<pid>/stat`, unless the process is only waiting to be reaped.
/// A name may itself hold parentheses and spaces: proc(5) says to look for the last one.
fn living_comm(stat: &[u8]) -> Option<&[u8]> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let state = stat.get(close + 2)?;
    if matches!(state, b'Z' | b'X') {
        None
    } else {
        stat.get(open + 1..close)
    }
}

/// The kernel keeps 15 bytes of a name (TASK_COMM_LEN in linux/sched.h).
fn is_cut(comm: &[u8], name: &str) -> bool {
    name.len() > COMM_LEN && comm == &name.as_bytes()[..COMM_LEN]
}

fn runs(process: &Path, name: &str) -> bool {
    let Ok(line) = fs::read(process.join("cmdline")) else {
        return false;
    };
    let program = line.split(|&byte| byte == 0).next().unwrap_or_default();
    program.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes())
}

const COMM_LEN: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_very_process_is_alive_and_an_invented_one_is_not() {
        let runner = Runner::current();
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(Process { name }.run(&runner).await, Finding::Holds);
        let name = "no-process-is-called-like-this".to_owned();
        let Finding::Drifted(drift) = (Process { name }).run(&runner).await else {
            panic!()
        };
        assert_eq!(drift.found, "none");
    }

    #[test]
    fn a_name_with_parentheses_is_read_whole_and_a_zombie_is_not_alive() {
        assert_eq!(living_comm(b"7 (a) (b) c) S 1 7 7"), Some(&b"a) (b) c"[..]));
        assert_eq!(living_comm(b"7 (sh) Z 1 7 7"), None);
        assert_eq!(living_comm(b"7 (sh"), None);
        assert_eq!(living_comm(b""), None);
    }

    #[test]
    fn what_ps_prints_is_compared_without_folders() {
        let output = "Ss   /sbin/launchd\nZ    (gone)\n  S+ /Applications/My App.app/My App\n";
        assert!(ps_lists(output, "launchd"));
        assert!(ps_lists(output, "My App"));
        assert!(!ps_lists(output, "(gone)"));
        assert!(!ps_lists(output, "App"));
    }
}
