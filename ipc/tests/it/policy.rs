//! Who is let in, and whom a client trusts: with real processes of other users, where this one is root.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ipc::{Client, Code, Error, HandshakeError, Outcome, Policy, Server, SocketPath};

use crate::support::*;

const ROLE: &str = "IPC_TEST_ROLE";
const PATH: &str = "IPC_TEST_PATH";
const STRANGERS: [u32; 3] = [1001, 1002, 65534];

/// Other users only exist for root.
#[expect(clippy::print_stdout, reason = "what is skipped is told")]
fn cannot_be_others() -> bool {
    let cannot = own_uid() != 0;
    if cannot {
        println!("skipped: needs root");
    }
    cannot
}

fn own_uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

/// This program again, as another user, in one of the roles of [`another_user`].
fn as_user(uid: u32, role: &str, path: &Path) -> Command {
    // Where the other user can reach it.
    let program = path.with_file_name("program");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    }
    let mut command = Command::new(program);
    command.args(["--exact", "policy::another_user", "--nocapture"]);
    command.env(ROLE, role).env(PATH, path).current_dir("/");
    command.uid(uid).gid(uid);
    command
}

async fn succeeds(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{failed}"
    );
}

/// What the processes of other users do; in the test run itself, nothing.
#[tokio::test]
async fn another_user() {
    let Some(role) = std::env::var_os(ROLE) else {
        return;
    };
    let path = SocketPath::at(std::env::var_os(PATH).unwrap()).unwrap();
    match role.to_str().unwrap() {
        "refused" => is_refused(&path).await,
        "silent" => is_refused_before_a_byte(&path),
        "admitted" => is_admitted(&path).await,
        "distrusts" => distrusts(&path).await,
        "serves" => serves(path).await,
        other => panic!("no role {other}"),
    }
}

async fn is_refused(path: &SocketPath) {
    let error = Client::builder(path.clone()).connect().await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::PermissionDenied, Outcome::NotSent)
    );
    let refused = matches!(error, Error::Handshake(HandshakeError::Refused(_)));
    assert!(refused, "{error:?}");
}

fn is_refused_before_a_byte(path: &SocketPath) {
    // [HSK-1]
    let mut socket = UnixStream::connect(path.as_path()).unwrap();
    let mut said = Vec::new();
    socket.read_to_end(&mut said).unwrap();
    assert_eq!(&said[..8], b"\x8dIPC\r\n\x01\0");
    // A GOAWAY with code 64 in its first field.
    assert_eq!((said[16], &said[20..22]), (11, &b"\x08\x40"[..]));
}

async fn is_admitted(path: &SocketPath) {
    let client = Client::builder(path.clone()).connect().await.unwrap();
    assert_eq!(client.peer().uid(), 0);
    let answer: Text = client.unary(ECHO, text("a stranger")).await.unwrap();
    assert_eq!(answer.text, "a stranger");
    for method in [ONLY_ROOT, ONLY_USER] {
        let error = client.unary::<_, Text>(method, text("")).await.unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (Code::PermissionDenied, Outcome::RefusedUnseen)
        );
    }
    let _: Text = client.unary(ECHO, text("")).await.unwrap();
}

async fn distrusts(path: &SocketPath) {
    let client = Client::builder(path.clone()).trust(Policy::same_user());
    let error = client.connect().await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unauthenticated, Outcome::NotSent)
    );
    let distrusted = matches!(error, Error::Handshake(HandshakeError::NotTrusted(_)));
    assert!(distrusted, "{error:?}");
}

#[expect(clippy::print_stdout, reason = "how the parent knows")]
async fn serves(path: SocketPath) {
    let server = Server::builder(path)
        .allow(Policy::any_user())
        .service(Echo::default())
        .bind()
        .unwrap();
    println!("\nready");
    let stop = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server.serve_until(stop).await.unwrap();
}

#[tokio::test]
async fn strangers_are_refused_and_others_go_on() {
    if cannot_be_others() {
        return;
    }
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    for uid in STRANGERS {
        for role in ["refused", "silent"] {
            succeeds(as_user(uid, role, daemon.path.as_path())).await;
        }
    }
    let _: Text = client.unary(ECHO, text("")).await.unwrap();
}

#[tokio::test]
async fn those_the_policy_names_are_admitted_but_not_to_every_method() {
    if cannot_be_others() {
        return;
    }
    for policy in [Policy::user(1001), Policy::any_user()] {
        let daemon = Daemon::start_with(|server| server.allow(policy));
        succeeds(as_user(1001, "admitted", daemon.path.as_path())).await;
    }
    let daemon = Daemon::start_with(|server| server.allow(Policy::user(1002)));
    succeeds(as_user(1001, "refused", daemon.path.as_path())).await;
    let error = daemon.client().connect().await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "root is not named");
}

#[tokio::test]
async fn the_daemons_own_user_may_call_what_is_for_it() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    assert_eq!(client.peer().uid(), own_uid());
    let _: Text = client.unary(ONLY_USER, text("")).await.unwrap();
    let root = client.unary::<_, Text>(ONLY_ROOT, text("")).await;
    match root {
        Ok(_) => assert_eq!(own_uid(), 0),
        Err(error) => {
            assert_ne!(own_uid(), 0);
            assert_eq!(
                (error.code(), error.outcome()),
                (Code::PermissionDenied, Outcome::RefusedUnseen)
            );
        }
    }
}

#[tokio::test]
async fn a_client_refuses_a_server_it_does_not_trust() {
    let daemon = Daemon::start();
    let other = Policy::user(own_uid() + 1);
    let error = daemon.client().trust(other).connect().await.unwrap_err();
    let distrusted = matches!(error, Error::Handshake(HandshakeError::NotTrusted(_)));
    assert!(distrusted, "{error:?}");
    if cannot_be_others() {
        return;
    }
    let open = Daemon::start_with(|server| server.allow(Policy::any_user()));
    succeeds(as_user(1001, "distrusts", open.path.as_path())).await;
}

/// A daemon in a process of its own, until it is dropped.
struct Foreign(Child);

impl Foreign {
    async fn start(uid: u32, path: &Path) -> Self {
        let mut command = as_user(uid, "serves", path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut foreign = Self(command.spawn().unwrap());
        let said = BufReader::new(foreign.0.stdout.take().unwrap());
        let ready = tokio::task::spawn_blocking(|| {
            let mut lines = said.lines();
            assert!(lines.any(|line| line.unwrap() == "ready"));
            // Read to its end, so that the process can say more.
            std::thread::spawn(|| lines.count());
        });
        soon(ready).await.unwrap();
        foreign
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn root_does_not_trust_a_daemon_of_another_user_unless_told_to() {
    if cannot_be_others() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(1001), Some(1001)).unwrap();
    let path = folder.path().canonicalize().unwrap().join("d.sock");
    let _foreign = Foreign::start(1001, &path).await;
    let client = || Client::builder(SocketPath::at(&path).unwrap());
    let error = client().connect().await.unwrap_err();
    let distrusted = matches!(error, Error::Handshake(HandshakeError::NotTrusted(_)));
    assert!(distrusted, "{error:?}");
    let client = client().trust(Policy::user(1001)).connect().await.unwrap();
    assert_eq!(client.peer().uid(), 1001);
    let _: Text = client.unary(ONLY_ROOT, text("we are root")).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_is_killed_interrupts_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("d.sock");
    let mut daemon = Foreign::start(own_uid(), &path).await;
    let client = Client::builder(SocketPath::at(&path).unwrap());
    let client = client.connect().await.unwrap();
    let endless = Text {
        text: "x".repeat(1_000),
        count: u32::MAX,
    };
    let mut stream = client
        .server_streaming::<_, Text>(MANY, endless)
        .await
        .unwrap();
    assert!(soon(stream.recv()).await.unwrap().is_some());
    let call = client.unary::<_, Text>(WAIT, text("")).reply();
    let kill = async {
        let _: Text = client.unary(ECHO, text("")).await.unwrap();
        daemon.0.kill().unwrap();
    };
    let (call, ()) = tokio::join!(soon(call), kill);
    let lost = (Code::Unavailable, Outcome::MayHaveRun, true);
    let told = |error: Error| (error.code(), error.outcome(), error.is_interrupted());
    assert_eq!(told(call.unwrap_err()), lost);
    let error = loop {
        if let Err(error) = soon(stream.recv()).await {
            break error;
        }
    };
    assert_eq!(told(error), lost);
    // Its socket is left behind, and the next daemon takes the path over.
    drop(daemon);
    let _next = Foreign::start(own_uid(), &path).await;
    let client = Client::builder(SocketPath::at(&path).unwrap());
    let _: Text = client
        .connect()
        .await
        .unwrap()
        .unary(ECHO, text(""))
        .await
        .unwrap();
}
