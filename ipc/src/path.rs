//! Where the socket lives: one address type for both ends, so both compute the same bytes.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::sys::{self, Platform};

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
    /// As [`SocketPath::system`]; [`PathError::NoUserDirectory`] if the system names no directory.
    pub fn user(service: &str) -> Result<Self, PathError> {
        check_service(service)?;
        let (name, hashed) = user_name(sys::PLATFORM, service);
        if let Some(directory) = sys::user_directory().map_err(PathError::NoUserDirectory)? {
            let path = directory.join(format!("{name}.sock"));
            return Self::checked(path, DirectoryRule::MustExist, hashed);
        }
        let uid = sys::own_uid();
        let path = PathBuf::from(format!("/tmp/{name}-{uid}/{name}.sock"));
        Self::checked(path, DirectoryRule::Private, hashed)
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
        let component = |part: Component<'_>| {
            let text = part.as_os_str();
            (text.to_string_lossy().into_owned(), text.len())
        };
        Explanation {
            components: self.path.components().map(component).collect(),
            bytes: self.path.as_os_str().len(),
            hashed: self.hashed,
        }
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

/// The budget of a [`SocketPath`]: each component, the bytes left, and how the socket will be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    components: Vec<(String, usize)>,
    bytes: usize,
    hashed: bool,
}

impl Explanation {
    /// Bytes left of the portable budget of 103; `None` once it is spent.
    #[must_use]
    pub fn bytes_left(&self) -> Option<usize> {
        PORTABLE_LIMIT.checked_sub(self.bytes)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (component, bytes) in &self.components {
            writeln!(f, "{bytes:5}  {component}")?;
        }
        write!(f, "{:5}  bytes with separators; ", self.bytes)?;
        match self.bytes_left() {
            Some(left) => writeln!(f, "{left} left of the {PORTABLE_LIMIT} that fit everywhere")?,
            None => writeln!(f, "more than the {PORTABLE_LIMIT} that fit everywhere")?,
        }
        let name = if self.hashed {
            "shortened to a prefix and a hash"
        } else {
            "as given"
        };
        let reach = match (self.bytes <= native_limit(sys::PLATFORM), sys::PLATFORM) {
            (true, _) => "by its path",
            (false, Platform::Linux) => "through a descriptor of its directory",
            (false, Platform::Macos) => "with an oversized address",
        };
        write!(f, "the name is {name}; the socket is reached {reach}")
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

/// The service's name in a system path. Depends on nothing but its arguments: both ends must agree.
fn system_name(platform: Platform, service: &str) -> (String, bool) {
    match platform {
        Platform::Macos => shortened(service, PORTABLE_LIMIT - "/var/run/.sock".len()),
        Platform::Linux => shortened(service, (PORTABLE_LIMIT - "/run//.sock".len()) / 2),
    }
}

/// The service's name in a user path, for the longest directory the system would name and a uid of ten digits, so that it does not
/// depend on who runs it.
fn user_name(platform: Platform, service: &str) -> (String, bool) {
    match platform {
        // `confstr(_CS_DARWIN_USER_TEMP_DIR)`: /var/folders/xx/<30 characters>/T/
        Platform::Macos => shortened(service, PORTABLE_LIMIT - 49 - ".sock".len()),
        Platform::Linux => shortened(
            service,
            (PORTABLE_LIMIT - "/tmp/-4294967295/.sock".len()) / 2,
        ),
    }
}

/// `service` as it is while it fits, else a readable prefix and 64 bits of its SHA-256.
fn shortened(service: &str, room: usize) -> (String, bool) {
    if service.len() <= room {
        return (service.to_owned(), false);
    }
    let hash = Sha256::digest(service.as_bytes());
    let hash: String = hash
        .iter()
        .take(HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let prefix: String = service.chars().take(room - hash.len() - 1).collect();
    (format!("{prefix}-{hash}"), true)
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

fn check_length(platform: Platform, path: &Path) -> Result<(), PathError> {
    let refuse = |bytes, limit, remedy| {
        Err(PathError::PathTooLong {
            path: path.to_owned(),
            bytes,
            limit,
            remedy,
        })
    };
    let bytes = path.as_os_str().len();
    if bytes <= native_limit(platform) {
        return Ok(());
    }
    match platform {
        Platform::Macos if bytes > 253 => refuse(bytes, 253, "choose a shorter directory"),
        Platform::Linux if bytes > 4095 => refuse(bytes, 4095, "choose a shorter directory"),
        Platform::Linux => {
            let name = path.file_name().map_or(0, OsStr::len);
            let limit = native_limit(platform) - "/proc/self/fd/2147483647/".len();
            if name > limit {
                refuse(name, limit, "choose a shorter file name")
            } else {
                Ok(())
            }
        }
        Platform::Macos => Ok(()),
    }
}

/// Bytes of a path that fit `sun_path` beside the zero byte other programs expect.
const fn native_limit(platform: Platform) -> usize {
    match platform {
        Platform::Linux => 107,
        Platform::Macos => PORTABLE_LIMIT,
    }
}

/// `sun_path` is 104 bytes on macOS and the BSDs, 108 on Linux; one is for the zero byte.
const PORTABLE_LIMIT: usize = 103;
/// A file name may have no more on any file system of interest.
const LONGEST_SERVICE: usize = 255;
/// A second name must not be found for a hash; 64 bits make that a deliberate act on one's own service.
const HASH_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "com.example.department.of.very.long.product.names.and.their.background.service.helper.tool";

    #[test]
    fn a_short_service_keeps_its_name() {
        for platform in [Platform::Linux, Platform::Macos] {
            assert_eq!(
                system_name(platform, "com.example.jobs"),
                ("com.example.jobs".into(), false)
            );
            assert_eq!(
                user_name(platform, "com.example.jobs"),
                ("com.example.jobs".into(), false)
            );
        }
    }

    /// Frozen: a daemon and an agent built from different versions must still meet.
    #[test]
    fn a_long_service_gets_the_same_name_for_ever() {
        let names = [
            system_name(Platform::Linux, LONG),
            system_name(Platform::Macos, LONG),
            user_name(Platform::Linux, LONG),
            user_name(Platform::Macos, LONG),
        ];
        let frozen = [
            ("com.example.department.of.ver-eb9ed9a9a9d882a0", true),
            (
                "com.example.department.of.very.long.product.names.and.their.background.s-eb9ed9a9a9d882a0",
                true,
            ),
            ("com.example.department.-eb9ed9a9a9d882a0", true),
            ("com.example.department.of.very.l-eb9ed9a9a9d882a0", true),
        ];
        assert_eq!(
            names,
            frozen.map(|(name, hashed)| (name.to_owned(), hashed))
        );
    }

    #[test]
    fn the_name_is_readable_up_to_the_last_byte_that_fits() {
        let fits = "a".repeat(46);
        assert_eq!(format!("/run/{fits}/{fits}.sock").len(), PORTABLE_LIMIT);
        assert_eq!(system_name(Platform::Linux, &fits), (fits, false));
        assert!(system_name(Platform::Linux, &"a".repeat(47)).1);
        assert_eq!(system_name(Platform::Linux, &"a".repeat(255)).0.len(), 46);
        let fits = "a".repeat(40);
        assert!(format!("/tmp/{fits}-4294967295/{fits}.sock").len() <= PORTABLE_LIMIT);
        assert_eq!(user_name(Platform::Linux, &fits), (fits, false));
    }

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
    fn a_path_past_every_limit_is_refused_with_the_numbers() {
        let long = |bytes: usize| PathBuf::from(format!("/{}/s", "d/".repeat(bytes)));
        let check = |platform, bytes: usize| {
            let path = long(bytes);
            check_length(platform, &path).map_err(|error| error.to_string())
        };
        assert!(check(Platform::Macos, 125).is_ok());
        assert!(
            check(Platform::Macos, 126)
                .unwrap_err()
                .contains("255 bytes where 253 fit")
        );
        assert!(check(Platform::Linux, 126).is_ok());
        assert!(
            check(Platform::Linux, 2047)
                .unwrap_err()
                .contains("where 4095 fit")
        );
        let name = PathBuf::from(format!("/{}/{}", "d".repeat(60), "n".repeat(83)));
        let error = check_length(Platform::Linux, &name).unwrap_err();
        assert!(
            matches!(
                error,
                PathError::PathTooLong {
                    bytes: 83,
                    limit: 82,
                    ..
                }
            ),
            "{error}"
        );
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
