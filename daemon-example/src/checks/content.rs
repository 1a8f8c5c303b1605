//! The content of a file that somebody else may own, change or replace while it is read.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// Files with more bytes are read only if a check says so. Almost all programs and settings have
/// fewer, and these can be read within the seconds that a check has.
pub(super) const MAX_SIZE: u64 = 256 << 20;

/// Why the content is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// A folder, a device, a pipe or a socket.
    #[error("not a regular file")]
    NotRegular,
    /// It has more bytes than may be read.
    #[error("has {size} bytes, and no more than {max} are read")]
    TooLarge { size: u64, max: u64 },
    /// Somebody goes on writing to it.
    #[error("grows while it is read, and no more than {max} bytes are")]
    Grows { max: u64 },
    /// The one who asked is gone.
    #[error("nobody waits for it any more")]
    Dropped,
    /// The machine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens what is there, whatever it is, without waiting.
pub(super) fn open(path: &str) -> io::Result<File> {
    // A FIFO would hold the opener until somebody writes to it, and a terminal become ours.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits()).open(path)
}

/// The SHA-256 of what was opened, in hex; `meta` is what it was then.
pub(super) fn sha256(
    opened: io::Result<File>,
    meta: &Metadata,
    max: u64,
    dropped: &CancellationToken,
) -> Result<String, Unread> {
    if !meta.is_file() {
        return Err(Unread::NotRegular);
    }
    let mut file = opened?;
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
mod tests {
    use super::*;

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
