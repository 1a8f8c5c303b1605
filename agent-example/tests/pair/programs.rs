//! The programs as the tests find and start them.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use nix::unistd::{AccessFlags, access, geteuid};
use tempfile::TempDir;

/// The agent of this build.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_agent-example");

/// A user that is not root, where the test can choose.
pub(crate) const USER: u32 = 1001;

/// The daemon beside the agent. Tests of the whole workspace have built it; for tests of this package alone
/// it is built here, where cargo knows that it is missing or old.
pub(crate) fn daemon() -> PathBuf {
    let daemon = Path::new(AGENT).with_file_name("daemon-example");
    // Who cannot write here cannot build here: then what whoever can has built is what there is.
    let may_build = access(daemon.parent().unwrap(), AccessFlags::W_OK).is_ok();
    if !daemon.exists() || may_build && !is_fresh(&daemon) {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--bin", "daemon-example"]);
        build.args((!cfg!(debug_assertions)).then_some("--release"));
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon-example"));
        assert!(build.status().unwrap().success(), "{build:?}");
    }
    assert!(daemon.exists(), "no {}", daemon.display());
    daemon
}

/// Whether `program` is newer than its sources, which cargo lists beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let (Ok(built), Ok(list)) = (
        changed(program),
        fs::read_to_string(program.with_extension("d")),
    ) else {
        return false;
    };
    let sources = list.split_once(": ").unwrap_or_default().1;
    // Each set of features has generated code of its own, and the list may be of another set than the
    // program. What the code is generated from is in every list.
    let generated = program.with_file_name("build");
    sources
        .split_whitespace()
        .map(Path::new)
        .filter(|source| !source.starts_with(&generated))
        .all(|source| changed(source).is_ok_and(|changed| changed <= built))
}

/// A folder with both programs, for every user to run.
pub(crate) struct Stand {
    folder: TempDir,
    daemon: PathBuf,
    agent: PathBuf,
}

impl Stand {
    pub(crate) fn new() -> Self {
        // Short, because of the socket; and outside of folders that only one user can enter.
        let folder = tempfile::tempdir_in(Path::new("/tmp").canonicalize().unwrap()).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let place = |program: &Path| {
            let copy = folder.path().join(program.file_name().unwrap());
            // Not by this process: a child of a test beside this one would hold the copy open for
            // writing until its exec, and who starts it meanwhile gets ETXTBSY, execve(2).
            let mut cp = Command::new("cp");
            assert!(cp.arg(program).arg(&copy).status().unwrap().success());
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
            copy
        };
        Self {
            daemon: place(&daemon()),
            agent: place(AGENT.as_ref()),
            folder,
        }
    }

    /// Where a daemon of this user can listen.
    pub(crate) fn socket(&self, uid: u32) -> PathBuf {
        let folder = self.folder.path().join(uid.to_string());
        if !folder.exists() {
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
            chown(&folder, Some(uid), None).unwrap();
        }
        folder.join("drift.sock")
    }

    /// Starts a daemon as this user, and waits until it listens.
    pub(crate) fn start_daemon(&self, uid: u32) -> Daemon {
        self.start_daemon_with(uid, "")
    }

    /// The same with something to watch.
    pub(crate) fn start_daemon_with(&self, uid: u32, text: &str) -> Daemon {
        let config = self.socket(uid).with_file_name("drift.toml");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, Permissions::from_mode(0o644)).unwrap();
        let mut command = r#as(uid, &self.daemon);
        command.args(["--json", "--log", "off", "--config"]);
        command.arg(&config).arg("--socket").arg(self.socket(uid));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("ready"), "{line}");
        Daemon(child)
    }

    /// An agent of this user, on its way to the daemon of another.
    pub(crate) fn agent(&self, uid: u32, daemon: u32) -> Command {
        let mut command = r#as(uid, &self.agent);
        command.arg("--socket").arg(self.socket(daemon));
        command.args(["--log", "off"]);
        command
    }
}

fn r#as(uid: u32, program: &Path) -> Command {
    let mut command = Command::new(program);
    if geteuid().as_raw() != uid {
        command.uid(uid).gid(uid);
    }
    command
}

/// A daemon that listens; killed when dropped.
pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Standard error, which must be one line for people.
pub(crate) fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_program_is_as_fresh_as_what_it_was_made_from() {
    let dir = tempfile::tempdir().unwrap();
    let [program, source, generated] =
        ["daemon", "a.rs", "build/daemon-1/out/b.rs"].map(|name| dir.path().join(name));
    fs::create_dir_all(generated.parent().unwrap()).unwrap();
    let age = |path: &Path, seconds| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::create(path).unwrap().set_modified(time).unwrap();
    };
    age(&program, 10);
    age(&source, 5);
    age(&generated, 20);
    assert!(!is_fresh(&program), "without a list");
    let [made, from, with] = [&program, &source, &generated].map(|path| path.display());
    fs::write(
        program.with_extension("d"),
        format!("{made}: {from} {with}\n"),
    )
    .unwrap();
    assert!(is_fresh(&program), "generated again with other features");
    age(&source, 15);
    assert!(!is_fresh(&program), "a source changed");
    fs::remove_file(&source).unwrap();
    assert!(!is_fresh(&program), "a source is gone");
}
