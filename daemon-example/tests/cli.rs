//! The daemon's program as a person meets it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

fn daemon(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daemon-example"))
        .arg("--config")
        .arg(config)
        .args(arguments)
        .output()
        .expect("the daemon starts")
}

fn with_config(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("drift.toml");
    fs::write(&path, text).expect("a file");
    // Whatever the umask: a file that others can write to is refused.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    (dir, path)
}

/// Standard error, which must be one line for people and no backtrace.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_mistake_in_the_file_is_told_in_one_line_with_its_place() {
    let (_dir, path) = with_config("interval = \"1s\"\ninterfal = \"2s\"\n");
    let output = daemon(&path, &["--once"]);
    assert_eq!(output.status.code(), Some(78));
    let complaint = complaint(&output);
    assert!(
        complaint.contains(&format!("{}:2: unknown field `interfal`", path.display())),
        "{complaint}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = daemon(Path::new("/no/such/drift.toml"), &["--once"]);
    assert_eq!(output.status.code(), Some(78));
    let complaint = complaint(&output);
    assert!(
        complaint.contains("/no/such/drift.toml: No such file"),
        "{complaint}"
    );
}

#[test]
fn one_look_tells_what_holds_and_ends_well_only_if_all_does() {
    let good = "[[check]]\nname = \"yes\"\ncommand.argv = [\"true\"]\n";
    let (_dir, path) = with_config(good);
    let output = daemon(&path, &["--once"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "yes: holds\n");
    fs::write(
        &path,
        format!("{good}[[check]]\nname = \"no\"\ncommand.argv = [\"false\"]\n"),
    )
    .unwrap();
    let output = daemon(&path, &["--once"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaint(&output),
        "daemon-example: 1 of the checks do not hold\n"
    );
    let found = "no: false: expected exit status: 0, found exit status: 1";
    assert!(String::from_utf8(output.stdout).unwrap().contains(found));
}

#[test]
fn what_a_command_prints_forges_no_line_of_a_look() {
    let script = r"printf 'x\nall: holds\n\033[2J'";
    let text = format!(
        "[[check]]\nname = 'a'\ncommand = {{ argv = ['sh', '-c', {script:?}], prints = 'y' }}"
    );
    let (_dir, path) = with_config(&text);
    let output = daemon(&path, &["--once"]);
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.contains(r"x\nall: holds\n\u{1b}[2J"), "{printed}");
}

#[test]
fn a_log_filter_that_is_none_is_refused_before_anything_starts() {
    let (_dir, path) = with_config("");
    let output = daemon(&path, &["--log", "ipc=loud"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_interval_that_no_clock_can_count_is_refused_before_anything_starts() {
    let (_dir, path) = with_config("");
    for (interval, why) in [
        ("0s", "longer than nothing"),
        ("2y", "must not exceed a year"),
        ("18446744073709551615s", "must not exceed a year"),
        ("18446744073709551616s", "is no length of time"),
        ("soon", "is no length of time"),
    ] {
        let output = daemon(&path, &["--once", "--interval", interval]);
        assert_eq!(output.status.code(), Some(2), "{interval}");
        let complaint = String::from_utf8(output.stderr).expect("text");
        let option = format!("invalid value '{interval}' for '--interval <TIME>': ");
        assert!(complaint.contains(&option), "{complaint}");
        assert!(complaint.contains(why), "{complaint}");
    }
    let output = daemon(&path, &["--once", "--interval", "365days"]);
    assert!(output.status.success());
}

#[test]
fn a_path_too_long_for_a_socket_is_told_at_once() {
    let (_dir, config) = with_config("");
    let path = format!("/tmp/{}", "x".repeat(295));
    let output = daemon(&config, &["--log", "off", "--socket", &path]);
    assert_eq!(output.status.code(), Some(78));
    let complaint = complaint(&output);
    let found = "is too long for a socket";
    assert!(complaint.contains(found), "{complaint}");
}

#[test]
fn a_second_daemon_on_the_same_path_names_the_first_and_leaves_it_alone() {
    let (dir, config) = with_config("");
    let socket = dir.path().canonicalize().unwrap().join("d.sock");
    let first = listening(&config, &socket);
    let at = ["--log", "off", "--socket", socket.to_str().unwrap()];
    let output = daemon(&config, &at);
    assert_eq!(output.status.code(), Some(71));
    let complaint = complaint(&output);
    let pid = format!("served by another process, pid {} ", first.id());
    assert!(complaint.contains(&pid), "{complaint}");
    assert!(socket.exists());
    assert_eq!(stop(first, Signal::SIGTERM).status.code(), Some(0));
}

#[test]
fn a_daemon_told_to_stop_tells_what_it_counted_and_takes_its_socket_away() {
    let (dir, config) = with_config("");
    let socket = dir.path().canonicalize().unwrap().join("d.sock");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let output = stop(listening(&config, &socket), signal);
        assert_eq!(output.status.code(), Some(0));
        let events = String::from_utf8(output.stdout).unwrap();
        assert!(events.starts_with("{\"event\":\"daemon_ends\""), "{events}");
        assert!(!socket.exists());
    }
}

#[test]
fn a_daemon_told_to_stop_ends_the_commands_it_has_started() {
    let (dir, config) = with_config("");
    let socket = dir.path().canonicalize().unwrap().join("d.sock");
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    let script = format!("exec sleep 60 > '{}'", pipe.display());
    let text =
        format!("[[check]]\nname = 'a'\ntimeout = '1h'\ncommand.argv = ['sh', '-c', {script:?}]");
    fs::write(&config, text).expect("a file");
    let at = ["--socket", socket.to_str().unwrap()];
    for (arguments, code) in [(&["--once"][..], 130), (&at, 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daemon-example"));
        command.arg("--config").arg(&config).args(arguments);
        command.args(["--log", "off"]).stderr(Stdio::piped());
        let daemon = command.spawn().expect("the daemon starts");
        let (told, tells) = mpsc::channel();
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            // Opens when the command has opened it too, and ends when it has ended.
            let mut file = fs::File::open(pipe).expect("the pipe");
            told.send(0).ok();
            told.send(file.read_to_end(&mut Vec::new()).expect("its end"))
        });
        assert_eq!(tells.recv_timeout(PATIENCE), Ok(0), "the command starts");
        let output = stop(daemon, Signal::SIGTERM);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(tells.recv_timeout(PATIENCE), Ok(0), "the command ends");
    }
}

#[test]
fn a_look_whose_reader_does_not_read_can_be_stopped() {
    let long = "x".repeat(100_000);
    let text = format!("[[check]]\nname = 'a'\ncommand.argv = ['false', '{long}', '{long}']");
    // A finding on its way, to the errors' reader too or not; and an error on its way.
    for (text, one_pipe, code) in [
        (text.as_str(), false, 130),
        (text.as_str(), true, 130),
        (&format!("'{long}' = 1"), true, 78),
    ] {
        let (_dir, config) = with_config(text);
        let (mut reader, writer) = pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_daemon-example"));
        command.arg("--once").arg("--config").arg(config);
        command.stdout(writer.try_clone().expect("its end"));
        command.stderr(if one_pipe {
            writer.into()
        } else {
            Stdio::null()
        });
        let daemon = command.spawn().expect("the daemon starts");
        drop(command);
        // It prints now, and goes on when there is room for more than a pipe takes.
        reader.read_exact(&mut [0]).expect("the first of it");
        assert_eq!(ended(daemon, Signal::SIGTERM), Some(code));
    }
}

#[test]
fn a_daemon_whose_log_nobody_reads_can_be_stopped() {
    let (dir, config) = with_config("");
    let socket = dir.path().canonicalize().unwrap().join("d.sock");
    let (_reader, mut writer) = pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("its flags");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("its flags");
    let mut command = Command::new(env!("CARGO_BIN_EXE_daemon-example"));
    command.args(["--json", "--log", "trace", "--config"]);
    command.arg(config).arg("--socket").arg(socket);
    command.stdout(Stdio::piped()).stderr(writer);
    let mut daemon = command.spawn().expect("the daemon starts");
    let mut events = BufReader::new(daemon.stdout.take().expect("its events"));
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        events.read_line(&mut line).expect("an event");
        told.send(line).ok();
        events
    });
    let line = tells.recv_timeout(PATIENCE).inspect_err(|_| {
        daemon.kill().expect("a daemon that lives");
    });
    assert!(line.expect("an event").contains("ready"));
    assert_eq!(ended(daemon, Signal::SIGTERM), Some(0));
}

/// The exit code of a daemon that was sent a signal and has ended in time.
fn ended(daemon: Child, signal: Signal) -> Option<i32> {
    let pid = Pid::from_raw(daemon.id().try_into().expect("a pid"));
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || told.send(stop(daemon, signal)));
    let output = tells.recv_timeout(PATIENCE).inspect_err(|_| {
        kill(pid, Signal::SIGKILL).expect("a daemon that lives");
    });
    output.expect("its end").status.code()
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that has said that it listens.
fn listening(config: &Path, socket: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daemon-example"));
    command.args(["--json", "--log", "off", "--config"]);
    command.arg(config).arg("--socket").arg(socket);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the daemon starts");
    let mut line = String::new();
    // Of one byte, so that it takes nothing of what comes later.
    BufReader::with_capacity(1, child.stdout.as_mut().expect("its events"))
        .read_line(&mut line)
        .expect("an event");
    assert!(line.contains("ready"), "{line}");
    child
}

fn stop(daemon: Child, signal: Signal) -> Output {
    let pid = daemon.id().try_into().map(Pid::from_raw);
    kill(pid.expect("a pid"), signal).expect("a daemon that lives");
    daemon.wait_with_output().expect("its end")
}
