use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use super::*;
use crate::socket::Flaw;
use crate::{Error, Server};

#[tokio::test]
async fn a_socket_that_a_dead_daemon_left_is_replaced() {
    let (_directory, path) = scratch();
    drop(UnixListener::bind(path.as_path()).unwrap());
    assert!(path.as_path().exists());
    let listener = bind(&path).unwrap();
    assert!(serves(&listener, &path).await);
}

#[tokio::test]
async fn a_daemon_that_lives_is_not_replaced() {
    let (_directory, path) = scratch();
    let first = bind(&path).unwrap();
    let inode = fs::metadata(path.as_path()).unwrap().ino();
    match bind(&path).unwrap_err() {
        BindError::InUse {
            path: named,
            holder,
        } => {
            assert_eq!((named, holder), (path.clone(), Some(std::process::id())));
        }
        other => panic!("{other}"),
    }
    assert_eq!(fs::metadata(path.as_path()).unwrap().ino(), inode);
    assert!(serves(&first, &path).await);
}

#[tokio::test]
async fn a_path_is_free_once_its_daemon_is_dropped() {
    let (_directory, path) = scratch();
    for _ in 0..3 {
        let listener = bind(&path).unwrap();
        assert!(serves(&listener, &path).await);
        drop(listener);
        assert!(!path.as_path().exists());
    }
}

#[tokio::test]
async fn only_our_own_socket_is_removed_at_the_end() {
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    fs::remove_file(path.as_path()).unwrap();
    let other = UnixListener::bind(path.as_path()).unwrap();
    drop(listener);
    assert!(path.as_path().exists());
    drop(other);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let (_directory, path) = scratch();
    fs::write(path.as_path(), "precious").unwrap();
    assert!(matches!(bind(&path), Err(BindError::NotASocket { .. })));
    assert_eq!(fs::read_to_string(path.as_path()).unwrap(), "precious");
}

#[tokio::test]
async fn a_link_in_place_of_the_socket_is_not_followed() {
    let (directory, path) = scratch();
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), path.as_path()).unwrap();
    assert!(matches!(bind(&path), Err(BindError::NotASocket { .. })));
    assert!(!directory.path().join("elsewhere").exists());
}

#[tokio::test]
async fn a_link_in_place_of_the_lock_is_not_followed() {
    let (directory, path) = scratch();
    std::os::unix::fs::symlink(
        directory.path().join("elsewhere"),
        directory.path().join("daemon.sock.lock"),
    )
    .unwrap();
    assert!(matches!(bind(&path), Err(BindError::Lock { .. })));
    assert!(!directory.path().join("elsewhere").exists());
}

#[tokio::test]
async fn the_socket_has_its_mode_and_the_lock_is_private() {
    let (directory, path) = scratch();
    let lock = directory.path().join("daemon.sock.lock");
    fs::write(&lock, "stale").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
    let listener = bind(&path).unwrap();
    let socket = fs::symlink_metadata(path.as_path()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o7777, 0o666);
    assert_eq!(
        fs::metadata(&lock).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    drop(listener);
    assert!(
        lock.exists(),
        "removing it would let two daemons hold two locks of one name"
    );
}

#[test]
fn a_socket_is_born_for_its_owner_only() {
    let (directory, path) = scratch();
    let directory = fs::File::open(directory.path()).unwrap();
    let socket = sys::stream_socket().unwrap();
    sys::bind(socket.as_fd(), directory.as_fd(), path.as_path()).unwrap();
    let mode = fs::symlink_metadata(path.as_path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[tokio::test]
async fn nothing_is_made_in_a_directory_that_is_refused() {
    let (directory, path) = scratch();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    match bind(&path).unwrap_err() {
        BindError::Directory { source, .. } => assert!(matches!(source.flaw(), Flaw::Loose(0o777))),
        other => panic!("{other}"),
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_directory_owned_by_someone_else_is_refused_by_name() {
    if sys::own_uid() != 0 {
        println!("skipped: needs root");
        return;
    }
    let (directory, path) = scratch();
    let home = directory.path().canonicalize().unwrap();
    std::os::unix::fs::chown(&home, Some(1001), None).unwrap();
    let Error::Bind(error) = Server::builder(path).bind().unwrap_err() else {
        panic!("not of the bind");
    };
    match &*error {
        BindError::Directory { source, .. } => {
            assert!(
                matches!(source.flaw(), Flaw::ForeignOwner(1001)),
                "{source}"
            );
            assert_eq!(source.component(), home);
        }
        other => panic!("{other}"),
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[tokio::test]
async fn a_path_too_long_for_an_address_is_bound_and_reached() {
    let (directory, _) = scratch();
    let bytes = if sys::PLATFORM == sys::Platform::Linux {
        600
    } else {
        240
    };
    let mut long = directory.path().canonicalize().unwrap();
    while long.as_os_str().len() + 40 < bytes {
        long.push("a-directory-of-thirty-bytes-xx");
    }
    fs::create_dir_all(&long).unwrap();
    let path = SocketPath::at(long.join("daemon.sock")).unwrap();
    let listener = bind(&path).unwrap();
    assert!(serves(&listener, &path).await);
    drop(listener);
    assert!(!path.as_path().exists());
}

#[test]
fn binding_outside_a_runtime_is_an_error() {
    let (_directory, path) = scratch();
    assert!(matches!(bind(&path), Err(BindError::NoRuntime)));
    assert!(!path.as_path().exists());
}
