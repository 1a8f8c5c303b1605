//! The end of a daemon, wanted or not.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ipc::{AcceptError, BindError, Client, Code, Error, Limits, Outcome, Server, SocketPath};
use tokio::runtime::{Builder, Runtime};

use crate::support::*;

/// Calls until a call fails.
async fn fails(client: &Client) -> Error {
    loop {
        if let Err(error) = client.unary::<_, Text>(ECHO, text("new")).await {
            break error;
        }
    }
}

/// Binds until the path is free.
async fn bind(path: &SocketPath) -> Server {
    loop {
        match Server::builder(path.clone())
            .service(Echo::default())
            .bind()
        {
            Ok(server) => break server,
            Err(Error::Bind(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stop_lets_open_calls_finish_and_takes_no_more() {
    // [GOA-2] [GOA-3] [GOA-5]
    let mut daemon = Daemon::start();
    let client = daemon.connect().await;
    let open = client.unary::<_, Text>(WAIT, text("open")).reply();
    let stop = async {
        soon(daemon.seen.waiting.notified()).await;
        daemon.ask_to_stop();
        // Until GOAWAY has arrived, calls are answered or refused; afterwards they are not sent.
        let refused = soon(fails(&client)).await;
        assert_eq!(refused.code(), Code::Unavailable);
        assert_ne!(refused.outcome(), Outcome::MayHaveRun);
        // The loop that subscribes again after an interruption is right here as well.
        assert!(refused.is_interrupted());
        daemon.seen.go.notify_one();
    };
    let (open, ()) = tokio::join!(soon(open), stop);
    assert_eq!(open.unwrap().body.text, "open");
    let path = daemon.path.as_path().to_owned();
    soon(daemon.stop()).await.unwrap();
    assert!(!path.exists(), "the socket is gone");
    let after = client.unary::<_, Text>(ECHO, text("")).await.unwrap_err();
    assert_eq!(
        (after.code(), after.outcome()),
        (Code::Unavailable, Outcome::NotSent)
    );
}

#[tokio::test]
async fn a_stream_that_is_open_finishes_before_a_stop() {
    let mut daemon = Daemon::start();
    let client = daemon.connect().await;
    let mut stream = client
        .server_streaming::<_, Text>(MANY, count(20_000))
        .await
        .unwrap();
    assert!(soon(stream.recv()).await.unwrap().is_some());
    daemon.ask_to_stop();
    let mut received = 1;
    while let Some(message) = soon(stream.recv()).await.unwrap() {
        assert_eq!(message.count, received);
        received += 1;
    }
    assert_eq!(received, 20_000);
    soon(daemon.stop()).await.unwrap();
}

#[tokio::test]
async fn calls_that_outlast_the_drain_are_broken_off() {
    let short = limits(|limits| limits.drain = Duration::from_millis(20));
    let mut daemon = Daemon::start_with(|server| server.limits(short));
    let client = daemon.connect().await;
    let call = client.unary::<_, Text>(WAIT, text("")).reply();
    let stop = async {
        soon(daemon.seen.waiting.notified()).await;
        daemon.ask_to_stop();
    };
    let (call, ()) = tokio::join!(soon(call), stop);
    let error = call.unwrap_err();
    assert!(error.is_interrupted());
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unavailable, Outcome::MayHaveRun)
    );
    soon(daemon.seen.dropped.notified()).await;
    soon(daemon.seen.cancelled.notified()).await;
    soon(daemon.stop()).await.unwrap();
}

/// Bounds that no test waits for, so that an end in time is not theirs.
fn patient() -> Limits {
    let hour = Duration::from_secs(3_600);
    limits(|limits| (limits.drain, limits.handshake) = (hour, hour))
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_or_silent_connections() {
    let daemon = Daemon::start_with(|server| server.limits(patient()));
    let _silent = std::os::unix::net::UnixStream::connect(daemon.path.as_path()).unwrap();
    // Behind the silent one, which has been accepted then; the answer shows that the daemon
    // takes this one for connected.
    let idle = daemon.connect().await;
    let _: Text = idle.unary(ECHO, text("")).await.unwrap();
    soon(daemon.stop()).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_is_dropped_closes_its_connections_and_leaves_its_path_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::at(folder.path().canonicalize().unwrap().join("d.sock")).unwrap();
    let echo = Echo::default();
    let seen = std::sync::Arc::clone(&echo.0);
    let server = Server::builder(path.clone()).limits(patient());
    let server = server.service(echo).bind().unwrap();
    let mut serving = Box::pin(server.serve_until(pending::<()>()));
    let client = Client::builder(path.clone()).connect();
    let client = tokio::select! {
        client = client => client.unwrap(),
        _ = &mut serving => panic!("nobody stopped it"),
    };
    let call = client.unary::<_, Text>(WAIT, text("")).reply();
    let drops = async {
        soon(seen.waiting.notified()).await;
        drop(serving);
        Server::builder(path).bind().unwrap()
    };
    let (call, _next) = tokio::join!(soon(call), drops);
    assert!(call.unwrap_err().is_interrupted());
    soon(seen.dropped.notified()).await;
}

#[tokio::test]
async fn a_second_daemon_on_the_same_path_is_told_and_the_first_goes_on() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let second = Server::builder(daemon.path.clone()).bind();
    match second.unwrap_err() {
        Error::Bind(error) => assert!(matches!(*error, BindError::InUse { .. }), "{error:?}"),
        other => panic!("{other:?}"),
    }
    let _: Text = client.unary(ECHO, text("")).await.unwrap();
    let another = daemon.connect().await;
    let _: Text = another.unary(ECHO, text("")).await.unwrap();
}

#[tokio::test]
async fn a_path_is_free_again_after_a_stop() {
    let mut daemon = Daemon::start();
    let client = daemon.connect().await;
    daemon.ask_to_stop();
    drop(soon(bind(&daemon.path)).await);
    soon(daemon.stop()).await.unwrap();
    drop(client);
}

fn runtime() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_server_whose_runtime_ends_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::at(folder.path().canonicalize().unwrap().join("d.sock")).unwrap();
    let (serves, waits) = (runtime(), runtime());
    let server = {
        let _inside = serves.enter();
        Server::builder(path.clone())
            .service(Echo::default())
            .bind()
            .unwrap()
    };
    let mut serving = pin!(server.serve_until(pending::<()>()));
    let ended = waits.block_on(async {
        poll_fn(|cx| {
            let _inside = serves.enter();
            assert!(serving.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        serves.shutdown_background();
        soon(serving).await
    });
    match ended {
        Err(Error::Accept(error)) => assert!(matches!(*error, AcceptError::RuntimeEnded)),
        other => panic!("{other:?}"),
    }
    assert!(!path.as_path().exists(), "the path is free");
}

#[test]
fn the_runtime_of_a_connection_may_end_before_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::at(folder.path().canonicalize().unwrap().join("d.sock")).unwrap();
    let (serves, connects, calls) = (runtime(), runtime(), runtime());
    let _guard = serves.enter();
    let server = Server::builder(path.clone())
        .service(Echo::default())
        .bind()
        .unwrap();
    let server = server.serve_until(pending::<()>());
    let client = Client::builder(path).connect();
    let client = connects.block_on(async {
        tokio::join!(client, async {
            serves.spawn(server);
        })
        .0
    });
    let client = client.unwrap();
    let call = client.unary::<_, Text>(WAIT, text("")).reply();
    let error = calls.block_on(async {
        let (call, ()) = tokio::join!(soon(call), async { connects.shutdown_background() });
        call.unwrap_err()
    });
    assert!(error.is_interrupted());
    let error = calls.block_on(soon(client.unary::<_, Text>(ECHO, text("")).reply()));
    assert_eq!(error.unwrap_err().outcome(), Outcome::NotSent);
}

#[tokio::test]
async fn a_one_way_handler_that_nobody_waits_for_does_not_hold_up_a_stop() {
    let short = limits(|limits| limits.drain = Duration::from_millis(20));
    let daemon = Daemon::start_with(|server| server.limits(short));
    let client = daemon.connect().await;
    client.one_way(LINGER, text("")).await.unwrap();
    soon(daemon.seen.waiting.notified()).await;
    drop(client);
    soon(daemon.stop()).await.unwrap();
}
