//! The bytes a path may have: names that fit, and the limits past which nothing works.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::PathError;
use crate::sys::{self, Platform};

/// The budget of a [`SocketPath`](super::SocketPath): each component, the bytes left, and how the socket will be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    components: Vec<(String, usize)>,
    bytes: usize,
    hashed: bool,
}

impl Explanation {
    pub(super) fn of(path: &Path, hashed: bool) -> Self {
        let component = |part: Component<'_>| {
            let text = part.as_os_str();
            (text.to_string_lossy().into_owned(), text.len())
        };
        Self {
            components: path.components().map(component).collect(),
            bytes: path.as_os_str().len(),
            hashed,
        }
    }

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

/// The service's name in a system path. Depends on nothing but its arguments: both ends must agree.
pub(super) fn system_name(platform: Platform, service: &str) -> (String, bool) {
    match platform {
        Platform::Macos => shortened(service, PORTABLE_LIMIT - "/var/run/.sock".len()),
        Platform::Linux => shortened(service, (PORTABLE_LIMIT - "/run//.sock".len()) / 2),
    }
}

/// The service's name in a user path, for the longest directory the system would name and a uid of ten digits, so that it does not
/// depend on who runs it.
pub(super) fn user_name(platform: Platform, service: &str) -> (String, bool) {
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

pub(super) fn check_length(platform: Platform, path: &Path) -> Result<(), PathError> {
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
                refuse(name, limit, "shorten the file name, whose bytes count here")
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
/// 64 bits: two services of one machine do not meet by chance.
const HASH_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
}
