//! How an agent ends that has no daemon to work for, and that it goes on where it has one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use daemon_example::proto::DriftServer;
use ipc::{Policy, Server, SocketPath};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, geteuid, mkfifo};

use crate::programs::{AGENT, Stand, USER, complaint};
use crate::slow::Slow;

#[test]
fn an_agent_without_a_daemon_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(AGENT)
        .arg("--socket")
        .arg(dir.path().join("nobody.sock"))
        .args(["--log", "off", "--wait", "0s"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let complaint = complaint(&output);
    assert!(
        complaint.contains("is daemon-example running"),
        "{complaint}"
    );
    assert!(complaint.contains("at --system"), "{complaint}");
}

#[test]
fn an_agent_told_to_stop_does_not_wait_for_a_daemon_that_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().canonicalize().unwrap().join("mute.sock");
    let mute = UnixListener::bind(&socket).unwrap();
    let mut agent = Command::new(AGENT);
    agent.arg("--socket").arg(&socket).args(["--log", "off"]);
    let agent = agent.stdout(Stdio::piped()).spawn().unwrap();
    let _connected = mute.accept().unwrap();
    stop(agent);
}

#[test]
fn an_agent_told_to_stop_does_not_wait_to_be_registered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("slow.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let slow = Slow::default();
    let asked = Arc::clone(&slow.asked);
    let server = {
        let _runtime = runtime.enter();
        Server::builder(SocketPath::at(&path).unwrap())
            .allow(Policy::same_user())
            .service(DriftServer::new(slow))
            .bind()
            .unwrap()
    };
    runtime.spawn(server.serve_until(std::future::pending::<()>()));
    let mut agent = Command::new(AGENT);
    agent.arg("--socket").arg(&path).args(["--log", "off"]);
    agent.args(["--trust-uid", &geteuid().to_string()]);
    let agent = agent.stdout(Stdio::piped()).spawn().unwrap();
    runtime.block_on(asked.notified());
    stop(agent);
}

#[test]
fn an_agent_told_to_stop_ends_the_commands_it_has_started() {
    let me = geteuid().as_raw();
    let stand = Stand::new();
    let pipe = stand.socket(me).with_file_name("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let script = format!("exec sleep 60 > '{}'", pipe.display());
    let config = format!(
        "interval = '50ms'\n[[check]]\nname = 'a'\nscope = 'user'\ntimeout = '1h'\n\
         command.argv = ['sh', '-c', {script:?}]"
    );
    let _daemon = stand.start_daemon_with(me, &config);
    for _ in 0..10 {
        let (agent, _events) = start(&mut stand.agent(me, me), me);
        let (told, tells) = mpsc::channel();
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            // Opens when the command has opened it too, and ends when it has ended.
            let mut file = File::open(pipe).unwrap();
            told.send(0).ok();
            told.send(file.read_to_end(&mut Vec::new()).unwrap())
        });
        assert_eq!(tells.recv_timeout(PATIENCE), Ok(0), "the command starts");
        stop(agent);
        assert_eq!(tells.recv_timeout(PATIENCE), Ok(0), "the command ends");
    }
}

#[test]
fn an_agent_whose_events_nobody_reads_can_be_stopped() {
    let me = geteuid().as_raw();
    let stand = Stand::new();
    let _daemon = stand.start_daemon(me);
    let (_reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut agent = Command::new(AGENT);
    agent.arg("--socket").arg(stand.socket(me)).arg("--json");
    agent.args(["--trust-uid", &me.to_string(), "--calls", "1000000"]);
    let mut agent = agent.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(agent.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("registered"), "{line}");
    let pid = Pid::from_raw(agent.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || told.send(agent.wait().unwrap()));
    let ended = tells.recv_timeout(PATIENCE).inspect_err(|_| {
        kill(pid, Signal::SIGKILL).unwrap();
    });
    assert_eq!(ended.unwrap().code(), Some(0));
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells it to stop, and waits until it has.
fn stop(agent: Child) {
    let pid = Pid::from_raw(agent.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let output = agent.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_path_too_long_for_a_socket_is_told_at_once() {
    let output = Command::new(AGENT)
        .arg("--socket")
        .arg(format!("/tmp/{}", "x".repeat(295)))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let complaint = complaint(&output);
    assert!(
        complaint.contains("is too long for a socket"),
        "{complaint}"
    );
}

#[test]
fn an_agent_that_nobody_let_in_is_refused_and_told_who_may() {
    if !geteuid().is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let stand = Stand::new();
    let _daemon = stand.start_daemon(0);
    let output = stand.agent(USER, 0).output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    let complaint = complaint(&output);
    assert!(complaint.contains("the server refused us"), "{complaint}");
    assert!(complaint.contains("--allow-uid"), "{complaint}");
}

#[test]
fn an_agent_does_not_trust_a_daemon_of_just_anyone() {
    let me = geteuid().as_raw();
    let daemon = if me == 0 { USER } else { me };
    let stand = Stand::new();
    let _daemon = stand.start_daemon(daemon);
    let output = stand.agent(me, daemon).output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    let complaint = complaint(&output);
    assert!(complaint.contains("is not trusted"), "{complaint}");
    assert!(complaint.contains("--trust-uid"), "{complaint}");
}

#[test]
fn an_agent_whose_daemon_is_killed_ends_and_says_why() {
    let me = geteuid().as_raw();
    let stand = Stand::new();
    let daemon = stand.start_daemon(me);
    let (agent, mut events) = start(&mut stand.agent(me, me), me);
    let ready = events.next().unwrap();
    assert!(ready.contains("ready"), "{ready}");
    drop(daemon);
    let rest: Vec<_> = events.collect();
    assert!(rest.last().unwrap().contains("agent_ends"), "{rest:?}");
    let output = agent.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let complaint = complaint(&output);
    assert_eq!(
        complaint.matches("the peer closed the connection").count(),
        1,
        "{complaint}"
    );
}

#[test]
fn an_agent_follows_for_longer_than_one_call_may_last() {
    let me = geteuid().as_raw();
    let stand = Stand::new();
    // Two changes of this one are a second apart.
    let config = r#"
        interval = "100ms"
        [[check]]
        name = "clock"
        command.argv = ["sh", "-c", "exit $(( $(date +%s) % 2 ))"]
    "#;
    let _daemon = stand.start_daemon_with(me, config);
    let mut command = stand.agent(me, me);
    let (mut agent, events) = start(command.args(["--deadline", "300ms"]), me);
    let changes = events.filter(|event| event.contains(r#""check":"clock""#));
    assert_eq!(changes.take(3).count(), 3);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// Starts an agent of this user, whose daemon is of the same user.
fn start(command: &mut Command, uid: u32) -> (Child, impl Iterator<Item = String> + use<>) {
    command.args(["--json", "--trust-uid", &uid.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = command.spawn().unwrap();
    let events = BufReader::new(agent.stdout.take().unwrap()).lines();
    (agent, events.map(Result::unwrap))
}
