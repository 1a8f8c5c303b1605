use super::*;
use crate::socket::{ConnectError, connect_blocking};

#[tokio::test]
async fn a_client_waits_for_a_daemon_that_is_not_there_yet() {
    let (_directory, path) = scratch();
    let late = async {
        let impatient = connect(&path, Instant::now() + Duration::from_millis(5)).await;
        assert!(matches!(impatient, Err(ConnectError::Deadline { .. })));
        bind(&path).unwrap()
    };
    let (client, listener) = tokio::join!(connect(&path, patience()), late);
    client.unwrap();
    accept(&listener).await;
}

#[tokio::test]
async fn a_full_backlog_is_waited_out() {
    let (_directory, path) = scratch();
    let options = BindOptions {
        backlog: 0,
        ..BindOptions::default()
    };
    let listener = Listener::bind(&path, &options).unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        match connect(&path, Instant::now()).await {
            Ok(client) => waiting.push(client),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, ConnectError::Deadline { .. }),
        "{refused}"
    );
    let draining = async {
        for _ in 0..=waiting.len() {
            accept(&listener).await;
        }
    };
    let (client, ()) = tokio::join!(connect(&path, patience()), draining);
    client.unwrap();
}

/// More than libc's SOMAXCONN where that is 128.
#[tokio::test]
async fn as_many_may_wait_as_the_daemon_and_the_system_allow() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    if allowed.trim().parse().unwrap_or(0) < 200 {
        println!("skipped: the system lets fewer than 200 wait");
        return;
    }
    let (_directory, path) = scratch();
    let options = BindOptions {
        backlog: 200,
        ..BindOptions::default()
    };
    let _listener = Listener::bind(&path, &options).unwrap();
    let mut waiting = Vec::new();
    while let Ok(client) = connect(&path, Instant::now()).await {
        waiting.push(client);
    }
    assert!(waiting.len() >= 200, "{}", waiting.len());
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_an_error_at_the_deadline() {
    let (_directory, path) = scratch();
    let deaf = sys::stream_socket().unwrap();
    sys::bind(deaf.as_fd(), deaf.as_fd(), path.as_path()).unwrap();
    let error = connect(&path, Instant::now()).await.unwrap_err();
    let ConnectError::Deadline { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn what_waiting_does_not_mend_is_an_error_at_once() {
    let (directory, _) = scratch();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let path = SocketPath::at(directory.path().join("file/daemon.sock")).unwrap();
    let before = Instant::now();
    let error = connect(&path, patience()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_program_without_a_runtime_connects_too() {
    let (_directory, path) = scratch();
    #[expect(
        clippy::disallowed_methods,
        reason = "the blocking client has no other clock"
    )]
    let now = std::time::Instant::now();
    let error = connect_blocking(&path, now + Duration::from_millis(5)).unwrap_err();
    assert!(matches!(error, ConnectError::Deadline { .. }), "{error}");
    std::thread::scope(|scope| {
        let client = scope.spawn(|| connect_blocking(&path, now + Duration::from_secs(20)));
        let _listener = std::os::unix::net::UnixListener::bind(path.as_path()).unwrap();
        client.join().unwrap().unwrap();
    });
}
