//! The directory of a socket, verified by descriptor: nobody but root and ourselves can change what its name leads to.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat, lstat, mkdirat,
};

use crate::path::DirectoryRule;
use crate::sys;

/// A directory whose every ancestor, and which itself, is safe to keep a socket in.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

/// Why the directory of a socket was refused.
#[derive(Debug, thiserror::Error)]
#[error("{} was refused", component.display())]
pub struct DirectoryError {
    component: PathBuf,
    #[source]
    flaw: Flaw,
}

impl DirectoryError {
    /// The component of the path that failed.
    #[must_use]
    pub fn component(&self) -> &Path {
        &self.component
    }

    /// What is wrong with it.
    #[must_use]
    pub fn flaw(&self) -> &Flaw {
        &self.flaw
    }
}

/// What is wrong with a directory.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// Someone else owns it, and could replace what is inside.
    #[error("it belongs to uid {0}, who could replace the socket")]
    ForeignOwner(u32),
    /// Others may write to it.
    #[error("it can be changed by others (mode {0:o})")]
    Loose(u32),
    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    Symlink,
    /// It is not a directory.
    #[error("it is not a directory")]
    NotADirectory,
    /// It does not exist, and it is not this program's to make.
    #[error("it does not exist")]
    Missing,
    /// It does not exist, and this program may not make it, or cannot.
    #[error("it does not exist and cannot be made")]
    CannotBeMade(#[source] io::Error),
    /// The system refused.
    #[error("it cannot be opened")]
    Io(#[from] io::Error),
}

impl Directory {
    /// Walks to `path` from the root, checks each component, and makes the last one if `rule` says so.
    pub(super) fn open(path: &Path, rule: DirectoryRule) -> Result<Self, DirectoryError> {
        let path = through_system_links(path);
        let mut so_far = PathBuf::from("/");
        let fail = |component: &Path, flaw| DirectoryError {
            component: component.to_owned(),
            flaw,
        };
        let mut directory = open(&so_far, sys::DIRECTORY, Mode::empty())
            .map_err(|errno| fail(&so_far, Flaw::Io(errno.into())))?;
        let names = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)));
        let mut names = names.map(Component::as_os_str).peekable();
        check(&directory, last_or(names.peek().is_none(), rule))
            .map_err(|flaw| fail(&so_far, flaw))?;
        while let Some(name) = names.next() {
            so_far.push(name);
            let place = last_or(names.peek().is_none(), rule);
            directory = step(&directory, name, place).map_err(|flaw| fail(&so_far, flaw))?;
            check(&directory, place).map_err(|flaw| fail(&so_far, flaw))?;
        }
        Ok(Self(directory))
    }

    /// What `name` is, if it is there. Never follows a link.
    pub(super) fn look_up(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Where in the path a component stands, which decides how strict the check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ancestor,
    Last(DirectoryRule),
}

fn last_or(last: bool, rule: DirectoryRule) -> Place {
    if last {
        Place::Last(rule)
    } else {
        Place::Ancestor
    }
}

fn step(parent: &OwnedFd, name: &OsStr, place: Place) -> Result<OwnedFd, Flaw> {
    let mode = match place {
        Place::Last(DirectoryRule::Public) => Some(0o755),
        Place::Last(DirectoryRule::Private) => Some(0o700),
        Place::Last(DirectoryRule::MustExist) | Place::Ancestor => None,
    };
    if let Some(mode) = mode.map(Mode::from_bits_truncate) {
        match mkdirat(parent, name, mode) {
            // The umask may have taken bits away. Nobody else can have put another name here: the parent is verified.
            Ok(()) => fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink)
                .map_err(io::Error::from)?,
            Err(Errno::EEXIST) => {}
            Err(errno) if is_missing(parent, name) => {
                return Err(Flaw::CannotBeMade(errno.into()));
            }
            Err(_) => {}
        }
    }
    openat(parent, name, sys::DIRECTORY, Mode::empty()).map_err(|errno| {
        let kind = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| kind(&stat));
        match (errno, kind) {
            (Errno::ENOENT, _) => Flaw::Missing,
            (_, Ok(SFlag::S_IFLNK)) => Flaw::Symlink,
            (Errno::ENOTDIR, _) => Flaw::NotADirectory,
            (errno, _) => Flaw::Io(errno.into()),
        }
    })
}

fn is_missing(parent: &OwnedFd, name: &OsStr) -> bool {
    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_err_and(|errno| errno == Errno::ENOENT)
}

fn check(directory: &OwnedFd, place: Place) -> Result<(), Flaw> {
    let stat = fstat(directory).map_err(io::Error::from)?;
    judge(
        widened(stat.st_mode),
        stat.st_uid,
        stat.st_gid,
        sys::own_uid(),
        place,
    )
}

/// The rule of OpenSSH's safe_path, with room for sticky ancestors such as /tmp: what is in there is checked in its turn.
fn judge(mode: u32, owner: u32, group: u32, own_uid: u32, place: Place) -> Result<(), Flaw> {
    if owner != 0 && owner != own_uid {
        return Err(Flaw::ForeignOwner(owner));
    }
    let mode = mode & 0o7777;
    let sticky_ancestor = place == Place::Ancestor && mode & 0o1000 != 0;
    let system_group = owner == 0 && sys::SYSTEM_GROUPS.contains(&group);
    let forbidden = match place {
        Place::Last(DirectoryRule::Private) => 0o077,
        Place::Last(_) | Place::Ancestor if sticky_ancestor => 0,
        Place::Last(_) | Place::Ancestor if system_group => 0o002,
        Place::Last(_) | Place::Ancestor => 0o022,
    };
    if mode & forbidden == 0 {
        Ok(())
    } else {
        Err(Flaw::Loose(mode))
    }
}

/// Replaces a link that is part of the system (`/var` on macOS), if it is root's and leads where it should; any other is refused later.
fn through_system_links(path: &Path) -> PathBuf {
    for (link, target) in sys::SYSTEM_LINKS {
        let Ok(rest) = path.strip_prefix(link) else {
            continue;
        };
        let system = |stat: FileStat| kind(&stat) == SFlag::S_IFLNK && stat.st_uid == 0;
        if lstat(*link).is_ok_and(system)
            && std::fs::canonicalize(link).is_ok_and(|real| real == Path::new(target))
        {
            return Path::new(target).join(rest);
        }
    }
    path.to_owned()
}

/// `mode_t` has 16 bits on macOS and 32 on Linux.
fn widened(mode: impl Into<u32>) -> u32 {
    mode.into()
}

pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Opens a file of ours in a verified directory, making it if needed; only its owner can open it.
pub(super) fn open_private_file(directory: &Directory, name: &OsStr) -> io::Result<OwnedFd> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    Ok(openat(
        directory,
        name,
        flags,
        Mode::S_IRUSR | Mode::S_IWUSR,
    )?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    const MINE: u32 = 1001;
    const LAST: Place = Place::Last(DirectoryRule::MustExist);

    #[test]
    fn only_root_and_ourselves_may_own_a_component() {
        for place in [Place::Ancestor, LAST] {
            assert!(judge(0o755, 0, 0, MINE, place).is_ok());
            assert!(judge(0o755, MINE, 0, MINE, place).is_ok());
            assert!(matches!(
                judge(0o755, 1002, 0, MINE, place),
                Err(Flaw::ForeignOwner(1002))
            ));
        }
    }

    #[test]
    fn others_may_write_to_sticky_ancestors_only() {
        const TEAM: u32 = 50;
        assert!(judge(0o1777, 0, TEAM, MINE, Place::Ancestor).is_ok());
        assert!(matches!(
            judge(0o1777, 0, TEAM, MINE, LAST),
            Err(Flaw::Loose(0o1777))
        ));
        for mode in [0o775, 0o757, 0o777] {
            assert!(
                judge(mode, 0, TEAM, MINE, Place::Ancestor).is_err(),
                "{mode:o}"
            );
            assert!(judge(mode, 0, TEAM, MINE, LAST).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn a_private_directory_is_closed_to_others() {
        let private = Place::Last(DirectoryRule::Private);
        assert!(judge(0o700, MINE, 0, MINE, private).is_ok());
        assert!(matches!(
            judge(0o755, MINE, 0, MINE, private),
            Err(Flaw::Loose(0o755))
        ));
        assert!(judge(0o711, MINE, 0, MINE, private).is_err());
    }

    fn open_error(path: &Path) -> DirectoryError {
        Directory::open(path, DirectoryRule::MustExist).unwrap_err()
    }

    /// The temporary directory without a link in its path, as macOS has one.
    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().canonicalize().unwrap();
        (scratch, path)
    }

    #[test]
    fn a_loose_directory_is_refused_by_name() {
        let (_scratch, path) = scratch();
        let loose = path.join("loose");
        fs::create_dir_all(loose.join("below")).unwrap();
        fs::set_permissions(&loose, Permissions::from_mode(0o777)).unwrap();
        for path in [&loose, &loose.join("below")] {
            let error = open_error(path);
            assert_eq!(error.component(), loose);
            assert!(matches!(error.flaw(), Flaw::Loose(0o777)), "{error}");
        }
    }

    #[test]
    fn a_link_anywhere_in_the_path_is_refused_by_name() {
        let (_scratch, path) = scratch();
        fs::create_dir_all(path.join("real/below")).unwrap();
        symlink("real", path.join("link")).unwrap();
        for end in ["link", "link/below"] {
            let error = open_error(&path.join(end));
            assert_eq!(error.component(), path.join("link"));
            assert!(matches!(error.flaw(), Flaw::Symlink), "{error}");
        }
    }

    #[test]
    fn what_is_missing_or_a_file_is_refused_by_name() {
        let (_scratch, path) = scratch();
        fs::write(path.join("file"), "").unwrap();
        let error = open_error(&path.join("missing/below"));
        assert_eq!(error.component(), path.join("missing"));
        assert!(matches!(error.flaw(), Flaw::Missing), "{error}");
        assert!(matches!(
            open_error(&path.join("file/below")).flaw(),
            Flaw::NotADirectory
        ));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_said_not_to_exist() {
        let (_scratch, path) = scratch();
        fs::set_permissions(&path, Permissions::from_mode(0o555)).unwrap();
        let open = || Directory::open(&path.join("x"), DirectoryRule::Public).unwrap_err();
        let error = match (sys::own_uid(), sys::PLATFORM) {
            (0, sys::Platform::Macos) => return println!("skipped: needs to be an ordinary user"),
            (0, sys::Platform::Linux) => sys::as_user(1001, &[], open),
            _ => open(),
        };
        assert_eq!(error.component(), path.join("x"));
        assert!(
            matches!(error.flaw(), Flaw::CannotBeMade(_)),
            "{:?}",
            error.flaw()
        );
        let cause = std::error::Error::source(error.flaw()).unwrap().to_string();
        assert!(cause.starts_with("Permission denied"), "{cause}");
    }

    #[test]
    fn a_directory_whose_parent_has_gone_cannot_be_made() {
        let (_scratch, path) = scratch();
        let parent = open(&path, sys::DIRECTORY, Mode::empty()).unwrap();
        fs::remove_dir(&path).unwrap();
        let place = Place::Last(DirectoryRule::Public);
        let flaw = step(&parent, OsStr::new("x"), place).unwrap_err();
        assert!(matches!(flaw, Flaw::CannotBeMade(_)), "{flaw}");
    }

    #[test]
    fn a_foreign_directory_is_refused_by_name() {
        if sys::own_uid() != 0 {
            println!("skipped: needs root");
            return;
        }
        let (_scratch, path) = scratch();
        let foreign = path.join("foreign");
        fs::create_dir_all(foreign.join("below")).unwrap();
        chown(&foreign, Some(1001), None).unwrap();
        let error = open_error(&foreign.join("below"));
        assert_eq!(error.component(), foreign);
        assert!(matches!(error.flaw(), Flaw::ForeignOwner(1001)), "{error}");
    }

    #[test]
    fn a_directory_is_made_with_its_mode_and_found_again() {
        let (_scratch, path) = scratch();
        for (name, rule, mode) in [
            ("a", DirectoryRule::Public, 0o755),
            ("b", DirectoryRule::Private, 0o700),
        ] {
            for _ in 0..2 {
                Directory::open(&path.join(name), rule).unwrap();
            }
            assert_eq!(
                fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777,
                mode
            );
        }
    }
}
