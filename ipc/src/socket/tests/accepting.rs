use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::mpsc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::Shutdown;

use super::*;
use crate::socket::{AcceptError, connect_blocking};
use crate::sync::Arc;

/// A listener that asks for the address panics here (mio 1.2.4): the kernel reports a longer one than `sockaddr_un` holds.
#[tokio::test]
async fn a_client_with_the_longest_address_is_served() {
    let (_home, path) = scratch();
    let listener = bind(&path).unwrap();
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let mut name = directory.path().to_owned().into_os_string();
    name.push("/");
    while name.len() < sys::LONGEST_ADDRESS {
        name.push("x");
    }
    let client = sys::stream_socket().unwrap();
    sys::bind_longest(client.as_fd(), name.as_ref()).unwrap();
    sys::connect(client.as_fd(), path.as_path()).unwrap();
    let accepted = accept(&listener).await;
    assert_eq!(accepted.peer.uid(), sys::own_uid());
    assert!(serves(&listener, &path).await);
}

#[tokio::test]
async fn an_accepted_connection_is_ready_for_use() {
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let client = connect(&path, patience()).await.unwrap();
    let accepted = accept(&listener).await;
    for fd in [&client, &accepted.fd] {
        assert!(
            OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap())
                .contains(OFlag::O_NONBLOCK)
        );
        assert!(
            FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap())
                .contains(FdFlag::FD_CLOEXEC)
        );
        let sent = nix::sys::socket::getsockopt(fd, nix::sys::socket::sockopt::SndBuf).unwrap();
        assert!(sent >= 200 * 1024, "{sent}");
    }
}

#[tokio::test]
async fn dropping_accept_loses_no_connection() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let mut clients = Vec::new();
    let mut accepted = 0;
    for _ in 0..50 {
        clients.push(connect(&path, patience()).await.unwrap());
    }
    while accepted < clients.len() {
        tokio::select! {
            biased;
            result = listener.accept() => { result.unwrap(); accepted += 1; }
            () = std::future::ready(()) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn several_may_accept_at_once() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let connecting = async {
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(connect(&path, patience()).await.unwrap());
        }
    };
    let (first, second, ()) = tokio::join!(listener.accept(), listener.accept(), connecting);
    assert_ne!(
        first.unwrap().fd.as_raw_fd(),
        second.unwrap().fd.as_raw_fd()
    );
}

#[tokio::test]
async fn a_client_that_left_before_it_was_accepted_does_no_harm() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    drop(connect(&path, patience()).await.unwrap());
    let second = async {
        let client = connect(&path, patience()).await.unwrap();
        std::future::pending::<()>().await;
        drop(client);
    };
    let accepting = async {
        let first = accept(&listener).await;
        if is_at_end(&first.fd) {
            accept(&listener).await;
        }
    };
    tokio::select! { () = second => {}, () = accepting => {} }
}

/// In a process of its own: it uses up every descriptor.
#[test]
fn a_daemon_without_descriptors_turns_clients_away_and_serves_the_next() {
    if is_child() {
        return starve();
    }
    succeeds(child(
        "socket::tests::accepting::a_daemon_without_descriptors_turns_clients_away_and_serves_the_next",
    ));
}

#[tokio::main(flavor = "current_thread")]
async fn starve() {
    let (_directory, path) = scratch();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let listener = bind(&path).unwrap();
    let early = [(); 3].map(|()| sys::readable(ready_client(&path)).unwrap());
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    let turned_away = async {
        for client in &early {
            let _ready = client.readable().await.unwrap();
            assert!(is_at_end(client.get_ref()));
        }
    };
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        () = turned_away => {}
        () = tokio::time::sleep_until(patience()) => panic!("nobody was turned away"),
    }
    drop((early, hoard));
    assert!(serves(&listener, &path).await);
}

/// In a process of its own: it uses up every descriptor but one.
#[test]
fn a_daemon_without_a_descriptor_to_identify_its_clients_turns_them_away_at_its_leisure() {
    if is_child() {
        return starve_but_one();
    }
    succeeds(child(
        "socket::tests::accepting::a_daemon_without_a_descriptor_to_identify_its_clients_turns_them_away_at_its_leisure",
    ));
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn starve_but_one() {
    let (_directory, path) = scratch();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let listener = bind(&path).unwrap();
    let early = [(); 3].map(|()| sys::readable(ready_client(&path)).unwrap());
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    drop(hoard.pop());
    let turned_away = async {
        for client in &early {
            let _ready = client.readable().await.unwrap();
            assert!(is_at_end(client.get_ref()));
        }
    };
    let start = Instant::now();
    tokio::select! {
        // Where the kernel has no pidfds, one descriptor is enough.
        accepted = listener.accept() => assert!(accepted.unwrap().peer.process().is_none()),
        () = turned_away => assert!(start.elapsed() >= Duration::from_micros(800 + 1_600)),
        () = tokio::time::sleep_until(patience()) => panic!("nobody was turned away"),
    }
    drop((early, hoard));
    assert!(serves(&listener, &path).await);
}

/// In a thread of its own: what goes round where it should stop never lets go of it.
#[test]
fn a_socket_that_listens_no_more_ends_the_accepting() {
    if sys::PLATFORM != sys::Platform::Linux {
        println!("skipped: here a socket that listens cannot be shut down");
        return;
    }
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || told.send(accept_after_shutdown()));
    let error = tells.recv_timeout(Duration::from_secs(20));
    assert!(matches!(error, Ok(AcceptError::Failed(_))), "{error:?}");
}

#[tokio::main(flavor = "current_thread")]
async fn accept_after_shutdown() -> AcceptError {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let live = Arc::clone(&listener.live.borrow());
    nix::sys::socket::shutdown(live.socket.as_raw_fd(), Shutdown::Both).unwrap();
    listener.accept().await.unwrap_err()
}

fn ready_client(path: &SocketPath) -> OwnedFd {
    #[expect(
        clippy::disallowed_methods,
        reason = "the blocking client has no other clock"
    )]
    let deadline = std::time::Instant::now();
    connect_blocking(path, deadline).unwrap()
}
