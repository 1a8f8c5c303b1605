//! `ipc-bench` that is ended from without, while its clients call.

use std::io::{BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use ipc_bench::proto::bench::EchoServer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::daemon::{Daemon, PATIENCE, Telling};

/// A daemon, and a program that loads it for a minute and that is in the middle of it.
struct Loaded {
    bench: Child,
    /// Where the program has its folders.
    folder: TempDir,
    _daemon: Daemon,
}

impl Loaded {
    fn start() -> Self {
        let (tell, told) = sync_channel(1);
        let daemon = Daemon::start(|builder| builder.service(EchoServer::new(Telling(tell))));
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
        command.arg("attach").arg("--socket").arg(daemon.socket());
        let command = command
            .args(["--duration=60", "--repetitions=1"])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let bench = command.spawn().expect("the binary runs");
        // The first calls are made before the load.
        for _ in 0..100 {
            told.recv_timeout(PATIENCE).expect("a call");
        }
        Self {
            bench,
            folder,
            _daemon: daemon,
        }
    }

    /// Says when nobody is left who could say something: the program and its clients.
    fn silence(&mut self) -> Receiver<String> {
        let (say, said) = sync_channel(1);
        let mut stderr = BufReader::new(self.bench.stderr.take().expect("a pipe"));
        thread::spawn(move || {
            let mut text = String::new();
            let read = stderr.read_to_string(&mut text);
            say.send(text).ok();
            read
        });
        said
    }

    fn stop(&mut self, signal: Signal) {
        let pid = i32::try_from(self.bench.id()).expect("a small number");
        kill(Pid::from_raw(pid), signal).expect("it is there");
        self.bench.wait().expect("it is ours");
    }
}

#[test]
fn clients_do_not_outlive_who_started_them() {
    let mut loaded = Loaded::start();
    let silence = loaded.silence();
    loaded.stop(Signal::SIGKILL);
    let said = silence.recv_timeout(PATIENCE).expect("no client is left");
    assert_eq!(said, "error: the process that started this one has gone\n");
}

#[test]
fn a_signal_leaves_no_folder_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut loaded = Loaded::start();
        let silence = loaded.silence();
        loaded.stop(signal);
        let said = silence.recv_timeout(PATIENCE).expect("no client is left");
        assert!(said.contains("stopped by a signal"), "{said}");
        let left = std::fs::read_dir(loaded.folder.path()).expect("a folder");
        assert_eq!(left.count(), 0);
    }
}
