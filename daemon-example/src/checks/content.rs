//! The content of a file that somebody else may own, change or replace while it is read.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::mounts;

/// Files with more bytes are read only if a check says so. Almost all programs and settings have
/// fewer, and these can be read within the seconds that a check has.
pub(super) const MAX_SIZE: u64 = 256 << 20;

/// Why the content is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// A folder, a device, a pipe or a socket.
    #[error("not a regular file")]
    NotRegular,
    /// To read it may change something.
    #[error("made up by the kernel, or in a mount that is not of this process")]
    MadeUp,
    /// It has more bytes than may be read.
    #[error("has {size} bytes, and no more than {max} are read")]
    TooLarge { size: u64, max: u64 },
    /// Somebody goes on writing to it.
    #[error("grows while it is read, and no more than {max} bytes are")]
    Grows { max: u64 },
    /// A chroot or a unit without it.
    #[error("cannot be opened without /proc")]
    NoProc,
    /// The one who asked is gone.
    #[error("nobody waits for it any more")]
    Dropped,
    /// The machine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is there, and its content if it is a regular file. All of it is of one file.
///
/// Nothing else is opened: to open or to close a device may start, stop or rewind something.
pub(super) fn look(path: &str) -> io::Result<(Metadata, Result<File, Unread>)> {
    look_through(path, OFlag::from_name(HANDLE))
}

/// The flag for a handle that stands for a file and does nothing to it. Linux has it, macOS does not.
const HANDLE: &str = "O_PATH";

/// Without such a handle, who swaps in a device between the look and the opening has it opened. Even
/// then it is not read, and what is said is said of what was opened.
fn look_through(path: &str, handle: Option<OFlag>) -> io::Result<(Metadata, Result<File, Unread>)> {
    if let Some(flag) = handle {
        // Not by `OpenOptions`: it takes the flag for a part of the access mode where libc is musl.
        let handle = nix::fcntl::open(path, flag | OFlag::O_CLOEXEC, Mode::empty())?;
        let handle = File::from(handle);
        let meta = handle.metadata()?;
        let itself = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let opened = regular(&meta)
            .and_then(|()| stored(&handle))
            .and_then(|()| open(&itself).map_err(unopened));
        return Ok((meta, opened));
    }
    let meta = std::fs::metadata(path)?;
    let opened = regular(&meta).and_then(|()| Ok(open(path)?));
    let meta = opened.as_ref().map_or(Ok(meta), File::metadata)?;
    let opened = opened.and_then(|file| regular(&meta).map(|()| file));
    Ok((meta, opened))
}

/// What is known to be there is missing only with `/proc` itself.
fn unopened(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::NotFound => Unread::NoProc,
        _ => error.into(),
    }
}

fn regular(meta: &Metadata) -> Result<(), Unread> {
    if meta.is_file() {
        Ok(())
    } else {
        Err(Unread::NotRegular)
    }
}

fn stored(handle: &File) -> Result<(), Unread> {
    if mounts::is_stored(handle.as_fd()).map_err(unopened)? {
        Ok(())
    } else {
        Err(Unread::MadeUp)
    }
}

/// Opens what is there, whatever it is, without waiting.
fn open(path: &str) -> io::Result<File> {
    // Somebody may have a lease on it; a FIFO or a terminal can be in its place without a handle.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits()).open(path)
}

/// The SHA-256 of a file in hex; `meta` is what it was when it was opened.
pub(super) fn sha256(
    mut file: File,
    meta: &Metadata,
    max: u64,
    dropped: &CancellationToken,
) -> Result<String, Unread> {
    let size = meta.len();
    if size > max {
        return Err(Unread::TooLarge { size, max });
    }
    hash(&mut file, max, dropped)
}

fn hash(from: &mut impl Read, max: u64, dropped: &CancellationToken) -> Result<String, Unread> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = max;
    while !dropped.is_cancelled() {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            let hash = hash.finalize();
            return Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        left = left.checked_sub(read as u64).ok_or(Unread::Grows { max })?;
        hash.update(&chunk[..read]);
    }
    Err(Unread::Dropped)
}

const CHUNK: usize = 64 << 10;

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn fifo(dir: &Path) -> PathBuf {
        let path = dir.join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }

    /// How many of a number of looks are wrong, and whether they let go somebody who waits for a
    /// reader of the FIFO.
    fn looks(n: usize, fifo: &Path, is_right: impl Fn() -> bool) -> (usize, bool) {
        let let_go = AtomicBool::new(false);
        let (wrong, early, _reader) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let opened = File::options().write(true).open(fifo);
                let_go.store(true, Ordering::Relaxed);
                opened.unwrap()
            });
            let wrong = (0..n).filter(|_| !is_right()).count();
            let early = let_go.load(Ordering::Relaxed);
            // Stays until the thread has ended, which may not wait yet.
            (wrong, early, open(fifo.to_str().unwrap()).unwrap())
        });
        (wrong, early)
    }

    #[test]
    fn what_is_not_a_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = fifo(dir.path());
        for handle in [OFlag::from_name(HANDLE), None] {
            let is_right = || {
                let looked = look_through(fifo.to_str().unwrap(), handle);
                matches!(looked, Ok((_, Err(Unread::NotRegular))))
            };
            assert_eq!(looks(5_000, &fifo, is_right), (0, false), "{handle:?}");
        }
    }

    #[test]
    fn a_link_to_what_the_kernel_makes_up_is_not_followed_into_it() {
        if OFlag::from_name(HANDLE).is_none() {
            println!("skipped: this system has no such files");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        // A regular file by its mode.
        symlink("/proc/self/status", &link).unwrap();
        let (meta, opened) = look(link.to_str().unwrap()).unwrap();
        assert!(meta.is_file());
        assert!(matches!(opened, Err(Unread::MadeUp)), "{opened:?}");
    }

    #[test]
    fn what_is_swapped_in_meanwhile_is_not_opened_either() {
        if OFlag::from_name(HANDLE).is_none() {
            println!("skipped: this system cannot look at a file and open the same one");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (fifo, file) = (fifo(dir.path()), dir.path().join("file"));
        std::fs::write(&file, "abc").unwrap();
        let link = dir.path().join("link");
        symlink(&file, &link).unwrap();
        let done = AtomicBool::new(false);
        let is_right = || match look(link.to_str().unwrap()) {
            Ok((meta, opened)) => meta.is_file() == opened.is_ok(),
            Err(_) => false,
        };
        let looked = std::thread::scope(|scope| {
            scope.spawn(|| swap(&link, [&file, &fifo], &done));
            let looked = looks(20_000, &fifo, is_right);
            done.store(true, Ordering::Relaxed);
            looked
        });
        assert_eq!(looked, (0, false));
    }

    /// Points `link` at each of two files in turn, until `done`; it is never away.
    pub(in super::super) fn swap(link: &Path, targets: [&Path; 2], done: &AtomicBool) {
        let new = link.with_extension("new");
        for target in targets.into_iter().cycle() {
            if done.load(Ordering::Relaxed) {
                return;
            }
            symlink(target, &new).unwrap();
            std::fs::rename(&new, link).unwrap();
        }
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_given_up_at_the_limit() {
        let nobody = CancellationToken::new();
        for max in [0, 1, CHUNK as u64, 1_000_000] {
            let ended = hash(&mut io::repeat(7).take(max + 1), max, &nobody);
            assert!(matches!(ended, Err(Unread::Grows { .. })), "{ended:?}");
            let ended = hash(&mut io::repeat(7).take(max), max, &nobody);
            assert!(ended.is_ok(), "{ended:?}");
        }
    }
}
