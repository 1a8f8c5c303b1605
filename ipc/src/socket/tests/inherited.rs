use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use super::*;
use crate::policy::Policy;
use crate::socket::InheritError;
use crate::{Client, Server};

/// A child that finds `socket` as its descriptor 3, as systemd would pass it; a shell knows the pid it is about to be.
fn activated(test: &str, socket: OwnedFd, pid: &str) -> Command {
    let inner = child(test);
    let mut shell = Command::new("/bin/sh");
    let script = format!(
        "LISTEN_PID={pid} LISTEN_FDS=1 LISTEN_FDNAMES=main exec \"$0\" \"$@\" 3<&0 </dev/null"
    );
    shell
        .arg("-c")
        .arg(script)
        .arg(inner.get_program())
        .args(inner.get_args());
    shell.env(CHILD, "1").stdin(Stdio::from(socket));
    shell
}

#[tokio::test]
async fn a_socket_of_systemd_is_served_and_its_path_left_alone() {
    if sys::PLATFORM != sys::Platform::Linux {
        println!("skipped: needs systemd's protocol");
        return;
    }
    if is_child() {
        assert!(matches!(
            Listener::inherited(Some("other")),
            Err(InheritError::NotActivated { .. })
        ));
        let listener = Listener::inherited(Some("main")).unwrap();
        assert_eq!(accept(&listener).await.peer.uid(), sys::own_uid());
        assert!(
            matches!(Listener::inherited(None), Err(InheritError::Io(_))),
            "taken twice"
        );
        return;
    }
    let (_directory, path) = scratch();
    let socket = UnixListener::bind(path.as_path()).unwrap();
    let _client = UnixStream::connect(path.as_path()).unwrap();
    let kept = socket.try_clone().unwrap();
    let test = "socket::tests::inherited::a_socket_of_systemd_is_served_and_its_path_left_alone";
    succeeds(activated(test, socket.into(), "$$"));
    UnixStream::connect(path.as_path()).unwrap();
    drop(kept);
}

/// What systemd makes of `PassCredentials=yes`.
fn socket_with_credentials(path: &SocketPath) -> OwnedFd {
    let socket = UnixListener::bind(path.as_path()).unwrap().into();
    sys::pass_credentials(&socket).unwrap();
    socket
}

#[tokio::test]
async fn an_agent_connects_where_the_unit_asks_for_credentials() {
    if sys::PLATFORM != sys::Platform::Linux {
        println!("skipped: needs systemd's protocol");
        return;
    }
    if is_child() {
        let path = SocketPath::at(std::env::var_os(PATH).unwrap()).unwrap();
        let server = Server::builder(path.clone()).allow(Policy::same_user());
        let server = server.inherit(Some("main")).unwrap();
        let client = Client::builder(path).trust(Policy::same_user()).connect();
        tokio::select! {
            ended = server.serve_until(std::future::pending::<()>()) => panic!("{ended:?}"),
            client = client => drop(client.unwrap()),
        }
        return;
    }
    let (_directory, path) = scratch();
    let socket = socket_with_credentials(&path);
    let test = "socket::tests::inherited::an_agent_connects_where_the_unit_asks_for_credentials";
    let mut daemon = activated(test, socket, "$$");
    daemon.env(PATH, path.as_path());
    succeeds(daemon);
}

/// Since Linux 6.16 they have the options of the listener as it was when they connected.
#[tokio::test]
async fn those_who_waited_before_the_daemon_came_have_nothing_but_bytes_to_read() {
    if sys::PLATFORM != sys::Platform::Linux {
        println!("skipped: needs systemd's protocol");
        return;
    }
    if is_child() {
        let listener = Listener::inherited(Some("main")).unwrap();
        let accepted = accept(&listener).await;
        let mut buffer = bytes::BytesMut::with_capacity(16);
        let received = sys::receive(accepted.fd.as_fd(), &mut buffer, false).unwrap();
        assert_eq!(
            (&buffer[..], received.stray_descriptors),
            (&b"!"[..], false)
        );
        let live = listener.live.borrow();
        assert!(!sys::pass_nothing(live.socket.get_ref()).unwrap());
        return;
    }
    let (_directory, path) = scratch();
    let socket = socket_with_credentials(&path);
    let early = connect(&path, patience()).await.unwrap();
    sys::send(early.as_fd(), b"!").unwrap();
    succeeds(activated(
        "socket::tests::inherited::those_who_waited_before_the_daemon_came_have_nothing_but_bytes_to_read",
        socket,
        "$$",
    ));
}

#[tokio::test]
async fn a_socket_meant_for_another_process_is_not_taken() {
    if is_child() {
        assert!(matches!(
            Listener::inherited(None),
            Err(InheritError::NotActivated { .. })
        ));
        return;
    }
    let (_directory, path) = scratch();
    let socket = UnixListener::bind(path.as_path()).unwrap();
    let test = "socket::tests::inherited::a_socket_meant_for_another_process_is_not_taken";
    succeeds(activated(test, socket.into(), "1"));
}

#[tokio::test]
async fn a_descriptor_that_does_not_listen_is_refused() {
    if sys::PLATFORM != sys::Platform::Linux {
        println!("skipped: needs systemd's protocol");
        return;
    }
    if is_child() {
        assert!(
            matches!(Listener::inherited(None), Err(InheritError::NotAListener { name }) if name == "main")
        );
        return;
    }
    let (socket, _other) = sys::socket_pair().unwrap();
    let test = "socket::tests::inherited::a_descriptor_that_does_not_listen_is_refused";
    succeeds(activated(test, socket, "$$"));
}
