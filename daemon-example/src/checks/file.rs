//! A file is there, with this mode, this owner and this content.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use tokio_util::sync::CancellationToken;

use super::content::{self, MAX_SIZE};
use super::{Finding, Runner};

/// Asserts that a file is there and is as described. Links are followed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where the file is.
    pub path: String,
    /// Its permission bits.
    pub mode: Option<Mode>,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// The SHA-256 of its content, in hex. What it is instead is not told: whoever can put a link there would learn it of
    /// any file that the one who runs the check may read. A file that the kernel makes up is not read.
    pub sha256: Option<String>,
    /// A file with more bytes than this is not read, and counts as not checked. Default: 256 MiB.
    #[serde(default = "File::max_size")]
    pub max_size: u64,
}

impl File {
    /// What [`Self::max_size`] is where nothing else is said.
    pub(crate) const fn max_size() -> u64 {
        MAX_SIZE
    }

    pub(super) async fn run(&self, runner: &Runner) -> Finding {
        let (file, runner) = (self.clone(), runner.clone());
        let dropped = CancellationToken::new();
        let _guard = dropped.clone().drop_guard();
        match tokio::task::spawn_blocking(move || file.look(&runner, &dropped)).await {
            Ok(finding) => finding,
            Err(error) => Finding::Unchecked(error.to_string()),
        }
    }

    /// Goes on until `dropped` is cancelled, however slow the file is.
    ///
    /// All that is said is said of one file, whoever puts others in its place meanwhile.
    fn look(&self, runner: &Runner, dropped: &CancellationToken) -> Finding {
        let path = runner.fill_in(&self.path);
        let looked = match &self.sha256 {
            Some(expected) => {
                content::look(&path).map(|(meta, opened)| (meta, Some((expected, opened))))
            }
            None => std::fs::metadata(&path).map(|meta| (meta, None)),
        };
        let (meta, content) = match looked {
            Ok(looked) => looked,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Finding::drifted(path, "a file", "nothing");
            }
            Err(error) => return Finding::Unchecked(format!("{path}: {error}")),
        };
        if let Some(difference) = self.difference(&path, &meta, runner) {
            return difference;
        }
        let Some((expected, opened)) = content else {
            return Finding::Holds;
        };
        match opened.and_then(|file| content::sha256(file, &meta, self.max_size, dropped)) {
            Ok(found) if found.eq_ignore_ascii_case(expected) => Finding::Holds,
            Ok(_) => Finding::drifted(format!("sha256 of {path}"), expected, "another one"),
            Err(error) => Finding::Unchecked(format!("{path}: {error}")),
        }
    }

    fn difference(&self, path: &str, meta: &Metadata, runner: &Runner) -> Option<Finding> {
        let found = Mode(meta.mode() & Mode::BITS);
        if let Some(mode) = self.mode
            && mode != found
        {
            return Some(Finding::drifted(format!("mode of {path}"), mode, found));
        }
        let owner = self.owner?.uid(runner);
        (owner != meta.uid())
            .then(|| Finding::drifted(format!("owner of {path}"), owner, meta.uid()))
    }
}

/// Permission bits with set-id and sticky bits, written in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    const BITS: u32 = 0o7777;

    /// The bits as the kernel numbers them; `None` if there are others.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::BITS == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits as the kernel numbers them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .and_then(Self::from_bits)
            .ok_or_else(|| {
                de::Error::custom(format!("`{text}` is no mode, write it like \"0644\""))
            })
    }
}

/// The owner a file should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user.
    Uid(u32),
    /// Whoever runs the check.
    Runner,
}

impl Owner {
    fn uid(self, runner: &Runner) -> u32 {
        match self {
            Self::Uid(uid) => uid,
            Self::Runner => runner.uid,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => uid.fmt(f),
            Self::Runner => f.write_str("self"),
        }
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "self" => Ok(Self::Runner),
            _ => text
                .parse()
                .map(Self::Uid)
                .map_err(|_| format!("`{text}` is no owner, write a uid or \"self\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct UidOrSelf;

        impl Visitor<'_> for UidOrSelf {
            type Value = Owner;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a uid or \"self\"")
            }

            fn visit_i64<E: de::Error>(self, uid: i64) -> Result<Owner, E> {
                self.visit_str(&uid.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Owner, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(UidOrSelf)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::future::poll_fn;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::task::Poll;
    use std::time::Duration;

    use super::super::content::tests::swap;
    use super::*;

    fn fixture() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (
            dir,
            File {
                path,
                mode: None,
                owner: None,
                sha256: None,
                max_size: MAX_SIZE,
            },
        )
    }

    fn drift(finding: Finding) -> (String, String) {
        match finding {
            Finding::Drifted(drift) => (drift.expected, drift.found),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn a_file_as_described_holds() {
        let (_dir, mut file) = fixture();
        file.mode = Mode::from_bits(0o640);
        file.owner = Some(Owner::Runner);
        file.sha256 = Some(ABC.to_owned());
        assert_eq!(file.run(&Runner::current()).await, Finding::Holds);
    }

    #[tokio::test]
    async fn each_difference_is_named_with_both_values() {
        let runner = Runner::current();
        let (dir, file) = fixture();
        let mode = File {
            mode: Mode::from_bits(0o600),
            ..file.clone()
        };
        let both = ("0600".to_owned(), "0640".to_owned());
        assert_eq!(drift(mode.run(&runner).await), both);
        let owner = File {
            owner: Some(Owner::Uid(runner.uid + 1)),
            ..file.clone()
        };
        let both = ((runner.uid + 1).to_string(), runner.uid.to_string());
        assert_eq!(drift(owner.run(&runner).await), both);
        let content = File {
            sha256: Some("00".to_owned()),
            ..file.clone()
        };
        assert_eq!(
            drift(content.run(&runner).await),
            ("00".to_owned(), "another one".to_owned())
        );
        drop(dir);
        let both = ("a file".to_owned(), "nothing".to_owned());
        assert_eq!(drift(file.run(&runner).await), both);
    }

    #[tokio::test]
    async fn a_fifo_in_place_of_the_file_does_not_hold_the_check() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let file = File {
            path,
            mode: None,
            owner: None,
            sha256: Some("00".to_owned()),
            max_size: MAX_SIZE,
        };
        let Finding::Unchecked(why) = file.run(&Runner::current()).await else {
            panic!()
        };
        assert!(why.ends_with("not a regular file"), "{why}");
        let runner = Runner::current();
        let other = File {
            mode: Mode::from_bits(0o640),
            ..file.clone()
        };
        let (expected, _) = drift(other.run(&runner).await);
        assert_eq!(expected, "0640");
        let other = File {
            owner: Some(Owner::Uid(runner.uid + 1)),
            ..file
        };
        let (_, found) = drift(other.run(&runner).await);
        assert_eq!(found, runner.uid.to_string());
    }

    /// In a thread of its own: a runtime waits for what it has let block, for hours here.
    #[test]
    fn a_long_file_is_not_read_on_when_nobody_waits_for_it() {
        let (_dir, mut file) = fixture();
        let long = std::fs::File::options().write(true).open(&file.path);
        long.unwrap().set_len(1 << 40).unwrap();
        file.sha256 = Some(ABC.to_owned());
        file.max_size = u64::MAX;
        let (told, tells) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let runner = Runner::current();
                let mut running = pin!(file.run(&runner));
                poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await
            });
            drop(runtime);
            told.send(())
        });
        tells.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn a_file_is_judged_as_one_whoever_swaps_it_meanwhile() {
        let (dir, mut file) = fixture();
        let other = dir.path().join("other");
        std::fs::write(&other, "else").unwrap();
        std::fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        symlink(&other, &link).unwrap();
        let first = std::mem::replace(&mut file.path, link.to_str().unwrap().to_owned());
        // The mode of the one and the content of the other.
        file.mode = Mode::from_bits(0o600);
        file.sha256 = Some(ABC.to_owned());
        let done = AtomicBool::new(false);
        let wrong = std::thread::scope(|scope| {
            scope.spawn(|| swap(&link, [first.as_ref(), &other], &done));
            let (runner, nobody) = (Runner::current(), CancellationToken::new());
            let findings = (0..20_000).map(|_| file.look(&runner, &nobody));
            let wrong = findings.filter(|finding| !matches!(finding, Finding::Drifted(_)));
            let wrong = wrong.collect::<Vec<_>>();
            done.store(true, Ordering::Relaxed);
            wrong
        });
        assert_eq!(wrong, []);
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_not_read() {
        let (_dir, mut file) = fixture();
        file.sha256 = Some(ABC.to_owned());
        file.max_size = 3;
        let runner = Runner::current();
        assert_eq!(file.run(&runner).await, Finding::Holds);
        file.max_size = 2;
        let why = format!("{}: has 3 bytes, and no more than 2 are read", file.path);
        assert_eq!(file.run(&runner).await, Finding::Unchecked(why));
        file.max_size = MAX_SIZE;
        let sparse = std::fs::File::options().write(true).open(&file.path);
        sparse.unwrap().set_len(MAX_SIZE + 1).unwrap();
        let finding = file.run(&runner).await;
        assert!(matches!(finding, Finding::Unchecked(_)), "{finding}");
    }

    #[tokio::test]
    async fn a_file_that_may_not_be_read_still_shows_its_mode() {
        if nix::unistd::geteuid().is_root() {
            println!("skipped: root may read all");
            return;
        }
        let (_dir, mut file) = fixture();
        std::fs::set_permissions(&file.path, Permissions::from_mode(0o000)).unwrap();
        file.sha256 = Some(ABC.to_owned());
        let runner = Runner::current();
        let finding = file.run(&runner).await;
        assert!(matches!(finding, Finding::Unchecked(_)), "{finding}");
        file.mode = Mode::from_bits(0o640);
        let both = ("0640".to_owned(), "0000".to_owned());
        assert_eq!(drift(file.run(&runner).await), both);
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
}
