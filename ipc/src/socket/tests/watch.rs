use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};

use super::*;
use crate::socket::watch::Watch;

/// Runs the listener while `damage` is done to its files, until a client reaches it again.
async fn comes_back(path: &SocketPath, listener: &Listener, damage: impl FnOnce()) {
    let client = async {
        // The listener waits already; whoever connects before the damage is seen reaches someone else, or nobody.
        damage();
        while !is_served_by_us(path).await {}
    };
    let accepting = async {
        loop {
            let accepted = accept(listener).await;
            sys::send(accepted.fd.as_fd(), b"!").unwrap();
        }
    };
    tokio::select! {
        biased;
        () = accepting => {}
        () = client => {}
        () = tokio::time::sleep_until(patience()) => panic!("the listener did not come back"),
    }
}

async fn is_served_by_us(path: &SocketPath) -> bool {
    let client = sys::readable(connect(path, patience()).await.unwrap()).unwrap();
    let mut buffer = bytes::BytesMut::with_capacity(1);
    let answer = async {
        let mut ready = client.readable().await.unwrap();
        ready
            .try_io(|client| sys::receive(client.get_ref().as_fd(), &mut buffer, false))
            .is_ok_and(|read| read.is_ok())
    };
    tokio::time::timeout(Duration::from_millis(20), answer)
        .await
        .unwrap_or(false)
}

#[tokio::test]
async fn a_removed_socket_is_bound_again() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    comes_back(&path, &listener, || {
        fs::remove_file(path.as_path()).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_replaced_socket_is_bound_again() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let mut other = None;
    comes_back(&path, &listener, || {
        fs::remove_file(path.as_path()).unwrap();
        other = Some(UnixListener::bind(path.as_path()).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_socket_and_its_lock_are_both_made_again() {
    let (directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let lock = directory.path().join("daemon.sock.lock");
    comes_back(&path, &listener, || {
        fs::remove_file(path.as_path()).unwrap();
        fs::remove_file(&lock).unwrap();
    })
    .await;
    assert!(matches!(bind(&path), Err(BindError::InUse { .. })));
}

#[tokio::test]
async fn a_removed_directory_of_our_own_is_made_again() {
    let (directory, _) = scratch();
    let home = directory.path().canonicalize().unwrap().join("service");
    let path = SocketPath::in_own_directory(home.join("daemon.sock"));
    let listener = bind(&path).unwrap();
    comes_back(&path, &listener, || fs::remove_dir_all(&home).unwrap()).await;
}

#[tokio::test]
async fn a_removed_lock_is_taken_again_at_once() {
    let (directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let lock = directory.path().join("daemon.sock.lock");
    let events = Watch::new(directory.path());
    let back = async {
        fs::remove_file(&lock).unwrap();
        while !lock.exists() {
            events.time_to_look().await;
        }
    };
    tokio::select! {
        biased;
        accepted = listener.accept() => panic!("{accepted:?}"),
        () = back => {}
        () = tokio::time::sleep_until(patience()) => panic!("the lock did not come back"),
    }
    assert!(matches!(bind(&path), Err(BindError::InUse { .. })));
    assert!(serves(&listener, &path).await);
}

#[tokio::test]
async fn a_lock_that_another_daemon_has_is_ours_again_when_it_goes() {
    let (directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let lock = directory.path().join("daemon.sock.lock");
    fs::remove_file(&lock).unwrap();
    let other = fs::File::create(&lock).unwrap();
    let other = Flock::lock(other, FlockArg::LockExclusiveNonblock).unwrap();
    look(&listener);
    assert!(serves(&listener, &path).await, "until the other one binds");
    drop(other);
    look(&listener);
    assert!(matches!(bind(&path), Err(BindError::InUse { .. })));
    assert!(serves(&listener, &path).await);
}

fn look(listener: &Listener) {
    let live = Arc::clone(&listener.live.borrow());
    listener.look(&live);
}

#[tokio::test]
async fn a_client_that_waits_when_the_socket_is_removed_is_served() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let early = connect(&path, patience()).await.unwrap();
    fs::remove_file(path.as_path()).unwrap();
    look(&listener);
    let late = connect(&path, Instant::now()).await.unwrap();
    for client in [&early, &late] {
        let accepted = accept(&listener).await;
        sys::send(accepted.fd.as_fd(), b"!").unwrap();
        assert!(sys::poll(client.as_fd(), sys::Interest::Read, Some(Duration::ZERO)).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_identified_holds_up_nobody_who_waited_with_it() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let client = connect(&path, patience()).await.unwrap();
    fs::remove_file(path.as_path()).unwrap();
    look(&listener);
    let nobody = sys::stream_socket().unwrap();
    listener.orphans.lock().unwrap().push_front(nobody);
    let before = Instant::now();
    let accepted = accept(&listener).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "waited for the next look");
    sys::send(accepted.fd.as_fd(), b"!").unwrap();
    assert!(sys::poll(client.as_fd(), sys::Interest::Read, Some(Duration::ZERO)).unwrap());
}

#[tokio::test]
async fn a_daemon_whose_lock_was_removed_yields_to_the_next() {
    let (directory, path) = scratch();
    let first = bind(&path).unwrap();
    fs::remove_file(directory.path().join("daemon.sock.lock")).unwrap();
    let second = bind(&path).unwrap();
    look(&first);
    assert!(serves(&second, &path).await);
    drop(first);
    assert!(
        serves(&second, &path).await,
        "the first must not remove what is the second's"
    );
}

#[tokio::test]
async fn a_path_that_is_contested_is_not_taken_in_a_loop() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    fs::remove_file(path.as_path()).unwrap();
    look(&listener);
    assert!(path.as_path().exists());
    fs::remove_file(path.as_path()).unwrap();
    look(&listener);
    assert!(!path.as_path().exists(), "taken again within a second");
}

/// A runtime that has ended registers no socket.
#[test]
fn a_socket_that_cannot_be_served_is_not_counted_as_ours() {
    let runtime = |paused| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(paused).build().unwrap()
    };
    let (_directory, path) = scratch();
    let ended = runtime(false);
    let listener = ended.block_on(async { bind(&path) }).unwrap();
    let handle = ended.handle().clone();
    drop(ended);
    fs::remove_file(path.as_path()).unwrap();
    {
        let _inside = handle.enter();
        look(&listener);
    }
    assert!(!path.as_path().exists(), "nobody listens there");
    runtime(true).block_on(async {
        tokio::time::advance(Duration::from_secs(2)).await;
        look(&listener);
        assert!(serves(&listener, &path).await);
    });
}

#[tokio::test]
async fn an_untouched_socket_stays_what_it_is() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let before = Arc::clone(&listener.live.borrow());
    look(&listener);
    assert!(Arc::ptr_eq(&before, &listener.live.borrow()));
}

#[tokio::test]
async fn a_path_that_was_left_is_not_taken_again() {
    let (_directory, path) = scratch();
    let first = bind(&path).unwrap();
    let early = connect(&path, patience()).await.unwrap();
    first.leave();
    assert!(!path.as_path().exists());
    look(&first);
    let second = bind(&path).unwrap();
    let accepted = accept(&first).await;
    sys::send(accepted.fd.as_fd(), b"!").unwrap();
    assert!(sys::poll(early.as_fd(), sys::Interest::Read, Some(Duration::ZERO)).unwrap());
    drop(first);
    assert!(serves(&second, &path).await);
}
