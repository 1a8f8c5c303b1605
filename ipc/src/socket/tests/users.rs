use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;

use super::*;
use crate::policy::Policy;
use crate::socket::ConnectError;

/// Other users only exist for root, and their threads only on Linux.
fn cannot_be_others() -> bool {
    let cannot = sys::own_uid() != 0 || sys::PLATFORM != sys::Platform::Linux;
    if cannot {
        println!("skipped: needs root");
    }
    cannot
}

#[tokio::test]
async fn the_user_who_connects_is_the_peer_and_is_refused_before_a_byte_is_read() {
    if cannot_be_others() {
        return;
    }
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let _client = sys::as_user(1001, &[1002, 7], || {
        let mut client = UnixStream::connect(path.as_path()).unwrap();
        client.write_all(b"let me in").unwrap();
        client
    });
    let accepted = accept(&listener).await;
    let peer = accepted.peer;
    assert_eq!((peer.uid(), peer.gid()), (1001, 1001));
    let mut groups = peer.groups().to_vec();
    groups.sort_unstable();
    assert_eq!(groups, [7, 1002]);

    let denied = Policy::default()
        .resolve()
        .unwrap()
        .check(peer.clone())
        .unwrap_err();
    assert_eq!(denied.uid(), 1001);
    assert_eq!(denied.rule(), "(root or same user)");
    let mut buffer = bytes::BytesMut::with_capacity(64);
    sys::receive(accepted.fd.as_fd(), &mut buffer, false).unwrap();
    assert_eq!(&buffer[..], b"let me in");

    let admitted = Policy::user(1001).resolve().unwrap().check(peer).unwrap();
    assert_eq!(admitted.into_peer().uid(), 1001);
}

#[tokio::test]
async fn many_groups_are_all_reported() {
    if cannot_be_others() {
        return;
    }
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let groups: Vec<u32> = (2000..2200).collect();
    let _client = sys::as_user(1002, &groups, || {
        UnixStream::connect(path.as_path()).unwrap()
    });
    assert_eq!(accept(&listener).await.peer.groups(), groups);
}

#[tokio::test]
async fn the_mode_of_the_socket_keeps_others_out() {
    if cannot_be_others() {
        return;
    }
    let (_directory, path) = scratch();
    let _listener = Listener::bind(&path, &BindOptions::default()).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the blocking client has no other clock"
    )]
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let error = sys::as_user(1001, &[], || {
        crate::socket::connect_blocking(&path, deadline)
    })
    .unwrap_err();
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error}");
}

/// As somebody whom modes keep out, as they do not root.
fn as_ordinary_user(work: impl FnOnce() + Send) {
    match sys::own_uid() {
        0 => sys::as_user(1001, &[], work),
        _ => work(),
    }
}

fn allow(path: &SocketPath, mode: u32) {
    std::fs::set_permissions(path.as_path(), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn connect_before_others_are_let_in() {
    let (_directory, path) = scratch();
    let _listener = UnixListener::bind(path.as_path()).unwrap();
    allow(&path, 0);
    let opening = async { allow(&path, 0o600) };
    let (client, ()) = tokio::join!(connect(&path, patience()), opening);
    client.unwrap();
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn connect_where_others_are_kept_out() {
    let (_directory, path) = scratch();
    let _listener = UnixListener::bind(path.as_path()).unwrap();
    allow(&path, 0);
    let before = Instant::now();
    let error = connect(&path, patience()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_client_waits_for_a_daemon_that_has_not_let_others_in_yet() {
    if sys::own_uid() == 0 && cannot_be_others() {
        return;
    }
    as_ordinary_user(connect_before_others_are_let_in);
}

#[test]
fn a_client_that_is_kept_out_hears_so_soon() {
    if sys::own_uid() == 0 && cannot_be_others() {
        return;
    }
    as_ordinary_user(connect_where_others_are_kept_out);
}

#[tokio::test]
async fn another_user_cannot_take_or_hold_the_path_of_a_daemon() {
    if cannot_be_others() {
        return;
    }
    let (directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let lock = directory.path().join("daemon.sock.lock");
    let (removed, opened) = sys::as_user(1001, &[], || {
        (
            std::fs::remove_file(path.as_path()),
            std::fs::File::open(&lock),
        )
    });
    assert!(removed.is_err(), "the directory is root's");
    assert!(opened.is_err(), "whoever opens the lock can hold it");
    assert!(serves(&listener, &path).await);
}

#[tokio::test]
async fn a_process_of_another_user_is_known_by_a_handle_that_tells_its_end() {
    if is_child() {
        let mut socket = UnixStream::connect(std::env::var_os(PATH).unwrap()).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 0);
        return;
    }
    if cannot_be_others() {
        return;
    }
    let (directory, path) = scratch();
    let listener = bind(&path).unwrap();
    // Where the other user can reach it.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let test =
        "socket::tests::users::a_process_of_another_user_is_known_by_a_handle_that_tells_its_end";
    let mut command = Command::new(program);
    command
        .args(child(test).get_args())
        .env(CHILD, "1")
        .env(PATH, path.as_path());
    command.current_dir("/").stdout(std::process::Stdio::null());
    let mut process = command.uid(1001).gid(1002).spawn().unwrap();

    let accepted = accept(&listener).await;
    let peer = accepted.peer;
    assert_eq!((peer.uid(), peer.gid()), (1001, 1002));
    assert_eq!(peer.informational_pid(), i32::try_from(process.id()).ok());
    let ended = |peer: &crate::peer::Peer| {
        let handle = peer.process()?;
        Some(sys::poll(handle, sys::Interest::Read, Some(Duration::ZERO)).unwrap())
    };
    let before = ended(&peer);
    drop(accepted.fd);
    assert!(process.wait().unwrap().success());
    match before {
        Some(before) => assert_eq!((before, ended(&peer)), (false, Some(true))),
        None => println!("skipped: no pidfd of a peer before Linux 6.5"),
    }
    assert_eq!(peer.uid(), 1001, "the identity outlives the process");
}
