//! Taking a path: the lock that decides who lives there, and the bind under it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, lstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use tracing::debug;

use super::directory::{Directory, DirectoryError, kind, open_private_file};
use super::raise_buffers;
use crate::path::SocketPath;
use crate::sys;

/// How a daemon binds its socket.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub(crate) struct BindOptions {
    /// Mode of the socket's file: who may try to connect. Default 0600. Who is let in is for the policy to say.
    pub mode: u32,
    /// Connections that may wait to be accepted. Default 1024, so that every agent may come back at once; the system may allow fewer:
    /// `net.core.somaxconn` (Linux, 4096 unless changed), `kern.ipc.somaxconn` (macOS, 128).
    pub backlog: u32,
    /// Bytes that may wait to be read by the peer. Default 256 KiB.
    pub send_buffer: usize,
    /// Bytes from the peer that may wait to be read, on macOS; Linux counts them with their sender. Default 256 KiB.
    pub receive_buffer: usize,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            backlog: 1024,
            send_buffer: super::BUFFER,
            receive_buffer: super::BUFFER,
        }
    }
}

/// Why a daemon has no socket.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process serves this path.
    #[error("{path} is served by another process{}", holder.map(|pid| format!(", pid {pid}")).unwrap_or_default())]
    InUse {
        /// The path.
        path: SocketPath,
        /// The other process, if it left its pid.
        holder: Option<u32>,
    },
    /// The directory of the socket is not safe, or not there.
    #[error("the directory of {path} is not fit for a socket")]
    Directory {
        /// The path.
        path: SocketPath,
        /// What is wrong with which component.
        #[source]
        source: DirectoryError,
    },
    /// A file that is not a socket is in the way, and is not ours to remove.
    #[error("{path} is a file that is not a socket")]
    NotASocket {
        /// The path.
        path: SocketPath,
    },
    /// The lock beside the socket cannot be used.
    #[error("the lock {} cannot be taken", path.display())]
    Lock {
        /// The path of the lock.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused.
    #[error("{path} cannot be bound")]
    Io {
        /// The path.
        path: SocketPath,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Called outside a tokio runtime with its IO driver.
    #[error("a socket is bound inside a tokio runtime")]
    NoRuntime,
}

/// A path that is ours: the lock, the directory, and which file is our socket.
#[derive(Debug)]
pub(super) struct Place {
    path: SocketPath,
    directory: Directory,
    lock: Lock,
    socket: FileId,
}

impl Place {
    /// Takes the path and listens there.
    pub(super) fn take(
        path: &SocketPath,
        options: &BindOptions,
    ) -> Result<(Self, OwnedFd), BindError> {
        let directory = open_directory(path)?;
        let lock = Lock::take(path, &directory)?;
        let (listener, socket) = bind(path, &directory, options)?;
        Ok((
            Self {
                path: path.clone(),
                directory,
                lock,
                socket,
            },
            listener,
        ))
    }

    /// Takes the path again after its file was removed or replaced. It counts as ours only once the socket is `served`.
    pub(super) fn retake<T>(
        &mut self,
        options: &BindOptions,
        served: impl FnOnce(OwnedFd) -> io::Result<T>,
    ) -> Result<T, BindError> {
        let directory = open_directory(&self.path)?;
        if !self.lock.is_in(&directory, &self.path).unwrap_or(false) {
            // The lock went with the socket: whoever has the new one lives here now.
            self.lock = Lock::take(&self.path, &directory)?;
        }
        let (listener, socket) = bind(&self.path, &directory, options)?;
        let live = served(listener).map_err(|source| {
            remove_own(&self.path, &directory, socket);
            BindError::Io {
                path: self.path.clone(),
                source,
            }
        })?;
        (self.directory, self.socket) = (directory, socket);
        Ok(live)
    }

    /// Takes the lock again if its file was removed or replaced, and says whether it did. Where that cannot be known it was not.
    ///
    /// Without it the next daemon would find a lock to take, and our socket to be stale.
    pub(super) fn keep_lock(&mut self) -> Result<bool, BindError> {
        if self.lock.is_in(&self.directory, &self.path).unwrap_or(true) {
            return Ok(false);
        }
        let directory = open_directory(&self.path)?;
        self.lock = Lock::take(&self.path, &directory)?;
        self.directory = directory;
        Ok(true)
    }

    /// Whether the path still leads to our socket. Where that cannot be known it does.
    pub(super) fn is_ours(&self) -> bool {
        match lstat(self.path.as_path()) {
            Ok(stat) => FileId::of(&stat) == self.socket,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => false,
            Err(_) => true,
        }
    }

    pub(super) fn path(&self) -> &SocketPath {
        &self.path
    }

    /// Removes our socket's file, and nothing that someone put in its place. The caller still holds the socket: until it is closed
    /// the inode cannot become another file's.
    pub(super) fn leave(&self) {
        remove_own(&self.path, &self.directory, self.socket);
    }
}

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl FileId {
    fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// Who lives at a path: liveness is this lock, for a refused connect proves nothing (a full backlog refuses too on macOS).
///
/// The file stays when the daemon goes: removing it would let two daemons lock two files of one name. Its mode is strict because
/// whoever can open a file can lock it.
#[derive(Debug)]
struct Lock {
    file: Flock<File>,
}

impl Lock {
    fn take(path: &SocketPath, directory: &Directory) -> Result<Self, BindError> {
        let name = Self::name(path);
        let fail = |source| BindError::Lock {
            path: path.as_path().with_file_name(&name),
            source,
        };
        loop {
            let file = File::from(open_private_file(directory, &name).map_err(fail)?);
            let stat = fstat(&file).map_err(|errno| fail(errno.into()))?;
            if kind(&stat) != SFlag::S_IFREG || stat.st_uid != sys::own_uid() {
                return Err(fail(io::Error::other("it is not a file of ours")));
            }
            fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| fail(errno.into()))?;
            let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => Self { file },
                Err((file, Errno::EWOULDBLOCK)) => {
                    return Err(BindError::InUse {
                        path: path.clone(),
                        holder: holder(file),
                    });
                }
                Err((_, errno)) => return Err(fail(errno.into())),
            };
            // Removed between open and lock: the next daemon would lock another file, so do as it does.
            if lock.is_in(directory, path).map_err(fail)? {
                lock.sign();
                return Ok(lock);
            }
        }
    }

    fn is_in(&self, directory: &Directory, path: &SocketPath) -> io::Result<bool> {
        let there = directory.look_up(&Self::name(path))?;
        let ours = FileId::of(&fstat(&*self.file)?);
        Ok(there.is_some_and(|there| FileId::of(&there) == ours))
    }

    /// Leaves our pid for the error message of the next one. A full disk must not keep a daemon away.
    fn sign(&self) {
        let mut file = &*self.file;
        let line = format!("{}\n", std::process::id());
        let signed = file
            .set_len(0)
            .and_then(|()| file.write_all(line.as_bytes()));
        if let Err(error) = signed {
            let error: &dyn std::error::Error = &error;
            debug!(error, "the lock does not name its holder");
        }
    }

    fn name(path: &SocketPath) -> OsString {
        let mut name = path.file_name().to_owned();
        name.push(".lock");
        name
    }
}

fn holder(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn open_directory(path: &SocketPath) -> Result<Directory, BindError> {
    let (directory, rule) = path.directory();
    Directory::open(directory, rule).map_err(|source| BindError::Directory {
        path: path.clone(),
        source,
    })
}

/// Binds straight at the final name: after a rename, tmp cleaners and `/proc/net/unix` would know the socket by another.
fn bind(
    path: &SocketPath,
    directory: &Directory,
    options: &BindOptions,
) -> Result<(OwnedFd, FileId), BindError> {
    let fail = |source| BindError::Io {
        path: path.clone(),
        source,
    };
    let name = path.file_name();
    match directory.look_up(name).map_err(fail)?.as_ref().map(kind) {
        None => {}
        Some(SFlag::S_IFSOCK) => unlink(directory, name).map_err(fail)?, // stale: we hold the lock
        Some(_) => return Err(BindError::NotASocket { path: path.clone() }),
    }
    let socket = sys::stream_socket().map_err(fail)?;
    raise_buffers(&socket, options.send_buffer, options.receive_buffer);
    sys::bind(socket.as_fd(), directory.as_fd(), path.as_path()).map_err(fail)?;
    let moved = || {
        fail(io::Error::other(
            "the directory was replaced during the bind",
        ))
    };
    let id = directory
        .look_up(name)
        .map_err(fail)?
        .as_ref()
        .map(FileId::of)
        .ok_or_else(moved)?;
    let open_up = || {
        sys::listen(&socket, options.backlog)?;
        // Widened last: whoever can connect is served. The name cannot be a link: the directory is verified, and ours.
        let mode = Mode::from_bits_truncate(options.mode as libc::mode_t & 0o777);
        Ok(fchmodat(
            directory,
            name,
            mode,
            FchmodatFlags::FollowSymlink,
        )?)
    };
    if let Err(error) = open_up() {
        remove_own(path, directory, id);
        return Err(fail(error));
    }
    Ok((socket, id))
}

fn remove_own(path: &SocketPath, directory: &Directory, id: FileId) {
    let name = path.file_name();
    let there = directory.look_up(name).ok().flatten();
    if there.is_some_and(|stat| FileId::of(&stat) == id)
        && let Err(error) = unlink(directory, name)
    {
        tracing::debug!(%path, error = &error as &dyn std::error::Error, "the socket's file stays behind");
    }
}

fn unlink(directory: &Directory, name: &OsStr) -> io::Result<()> {
    Ok(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?)
}
