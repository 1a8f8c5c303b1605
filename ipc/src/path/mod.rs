//! Where the socket lives: one address type for both ends, so both compute the same bytes.

mod budget;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use self::budget::{check_length, system_name, user_name};
use crate::sys::{self, Platform};

pub use self::budget::Explanation;

/// The path of a socket, checked against every length limit before anything touches the disk.
///
/// Both ends build it from the same service name and get the same path. See [`SocketPath::explain`] for how it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath {
    path: PathBuf,
    directory: DirectoryRule,
    hashed: bool,
}

/// What a daemon may do about the directory of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectoryRule {
    /// It belongs to the system or to the caller: it must exist.
    MustExist,
    /// The daemon makes it; every user may look inside.
    Public,
    /// The daemon makes it; nobody else may look inside.
    Private,
}

/// Why a socket path cannot be used. Never worth a retry.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The service name is not one.
    #[error("{name:?} is not a service name: {reason}")]
    ServiceName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No way to bind or connect reaches a path this long.
    #[error("{} is too long for a socket: {bytes} bytes where {limit} fit; {remedy}", path.display())]
    PathTooLong {
        /// The path as given.
        path: PathBuf,
        /// Bytes that count against the limit.
        bytes: usize,
        /// The most bytes that work here.
        limit: usize,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The path is not one that both ends would read alike.
    #[error("{} cannot be a socket path: {reason}", path.display())]
    Unusable {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system did not name a directory for this user's sockets.
    #[error("the system names no directory for the sockets of this user")]
    NoUserDirectory(#[source] io::Error),
}

impl SocketPath {
    /// The socket of a system-wide daemon: `/var/run/<service>.sock` on macOS, `/run/<service>/<service>.sock` on Linux.
    ///
    /// # Errors
    ///
    /// [`PathError::ServiceName`] if `service` is not made of ASCII letters, digits, `.`, `-` and `_`.
    pub fn system(service: &str) -> Result<Self, PathError> {
        check_service(service)?;
        let (name, hashed) = system_name(sys::PLATFORM, service);
        let (path, directory) = match sys::PLATFORM {
            Platform::Macos => (format!("/var/run/{name}.sock"), DirectoryRule::MustExist),
            Platform::Linux => (format!("/run/{name}/{name}.sock"), DirectoryRule::Public),
        };
        Self::checked(PathBuf::from(path), directory, hashed)
    }

    /// The socket of a daemon that runs once per user, in the directory the system keeps for that user.
    ///
    /// Linux uses `$XDG_RUNTIME_DIR` if it is a private directory of this user, else `/run/user/<uid>` on the same terms, else a
    /// directory below `/tmp` that the daemon makes. macOS uses `confstr(_CS_DARWIN_USER_TEMP_DIR)`.
    ///
    /// # Errors
    ///
    /// As [`SocketPath::system`]; [`PathError::NoUserDirectory`] if the system names no directory, [`PathError::Unusable`] if the one
    /// in `$XDG_RUNTIME_DIR` holds `..`.
    pub fn user(service: &str) -> Result<Self, PathError> {
        check_service(service)?;
        let (name, hashed) = user_name(sys::PLATFORM, service);
        if let Some(directory) = sys::user_directory().map_err(PathError::NoUserDirectory)? {
            return Self::in_user_directory(&directory, &name, hashed);
        }
        let uid = sys::own_uid();
        let path = PathBuf::from(format!("/tmp/{name}-{uid}/{name}.sock"));
        Self::checked(path, DirectoryRule::Private, hashed)
    }

    /// The environment may have named the directory: it is not believed to be normal.
    fn in_user_directory(directory: &Path, name: &str, hashed: bool) -> Result<Self, PathError> {
        let path = normalised(&directory.join(format!("{name}.sock")))?;
        Self::checked(path, DirectoryRule::MustExist, hashed)
    }

    /// A socket at a path of the caller's choice: absolute, without `..`. Its directory must exist.
    ///
    /// # Errors
    ///
    /// [`PathError::PathTooLong`] past what this system can bind by any means, [`PathError::Unusable`] for a path that is relative,
    /// names no file, or holds `..` or a zero byte.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = normalised(path.as_ref())?;
        Self::checked(path, DirectoryRule::MustExist, false)
    }

    /// The path itself.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }

    /// How the path uses its bytes, for a person to read.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        Explanation::of(&self.path, self.hashed)
    }

    pub(crate) fn directory(&self) -> (&Path, DirectoryRule) {
        (
            self.path.parent().unwrap_or_else(|| Path::new("/")),
            self.directory,
        )
    }

    pub(crate) fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn in_own_directory(path: PathBuf) -> Self {
        Self {
            path,
            directory: DirectoryRule::Public,
            hashed: false,
        }
    }

    fn checked(path: PathBuf, directory: DirectoryRule, hashed: bool) -> Result<Self, PathError> {
        check_length(sys::PLATFORM, &path)?;
        Ok(Self {
            path,
            directory,
            hashed,
        })
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Refuses what could not be a file name on every system, before it becomes part of a path.
fn check_service(name: &str) -> Result<(), PathError> {
    let wrong = |reason| {
        Err(PathError::ServiceName {
            name: name.to_owned(),
            reason,
        })
    };
    let Some(first) = name.bytes().next() else {
        return wrong("it is empty");
    };
    if !first.is_ascii_alphanumeric() {
        return wrong("it must start with an ASCII letter or digit");
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    {
        return wrong("only ASCII letters, digits, '.', '-' and '_' may appear in it");
    }
    if name.len() > LONGEST_SERVICE {
        return wrong("it is longer than 255 bytes");
    }
    Ok(())
}

fn normalised(path: &Path) -> Result<PathBuf, PathError> {
    let wrong = |reason| {
        Err(PathError::Unusable {
            path: path.to_owned(),
            reason,
        })
    };
    if !path.is_absolute() {
        return wrong("it is relative, and the two ends may run in different directories");
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return wrong("it contains a zero byte");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return wrong("it contains '..'");
    }
    if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
        return wrong("it names a directory");
    }
    Ok(path.components().collect())
}

/// A file name may have no more on any file system of interest.
const LONGEST_SERVICE: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_directory_is_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            ".hidden",
            "-dash",
            "naïve",
            "a b",
            "a\0b",
            &"a".repeat(256),
        ] {
            assert!(
                matches!(SocketPath::system(name), Err(PathError::ServiceName { .. })),
                "{name:?}"
            );
            assert!(
                matches!(SocketPath::user(name), Err(PathError::ServiceName { .. })),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_path_that_the_ends_could_read_differently_is_refused() {
        for path in [
            "x.sock",
            "",
            "/",
            "/run/../x.sock",
            "/run/x.sock/",
            "/run/..",
            "/a\0b",
        ] {
            assert!(
                matches!(SocketPath::at(path), Err(PathError::Unusable { .. })),
                "{path:?}"
            );
        }
        assert_eq!(
            SocketPath::at("/run//./x.sock").unwrap().as_path(),
            Path::new("/run/x.sock")
        );
    }

    #[test]
    fn a_user_directory_is_read_by_the_same_rules() {
        let user = |directory| SocketPath::in_user_directory(Path::new(directory), "x", false);
        for directory in ["/run/user/7/sub/..", "/run/user/7/../8"] {
            assert!(
                matches!(user(directory), Err(PathError::Unusable { .. })),
                "{directory}"
            );
        }
        let path = user("/run//user/./7/").unwrap();
        assert_eq!(path.as_path().as_os_str(), "/run/user/7/x.sock");
    }

    #[test]
    fn the_explanation_counts_every_byte() {
        let text = SocketPath::at("/run/x/x.sock")
            .unwrap()
            .explain()
            .to_string();
        assert!(
            text.contains("   13  bytes with separators; 90 left of the 103"),
            "{text}"
        );
        assert!(text.contains("    6  x.sock"), "{text}");
        assert!(
            text.ends_with("the name is as given; the socket is reached by its path"),
            "{text}"
        );
    }
}
