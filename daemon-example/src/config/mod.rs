//! The assertions, read from a TOML file.
//!
//! ```toml
//! interval = "5s"             # between two rounds
//!
//! [[check]]
//! name = "passwd"
//! tolerance = 2               # failures in a row before it counts as drifted
//! file = { path = "/etc/passwd", mode = "0644", owner = 0 }
//!
//! [[check]]
//! name = "identity"
//! scope = "user"              # run by each user's agent
//! command = { argv = ["id", "-u"], prints = "{uid}" }
//! ```

mod raw;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::checks::Check;

/// What the daemon watches, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The time between two rounds. Default: 5 s.
    pub interval: Duration,
    /// How many checks run at once. Default: 4.
    pub at_once: usize,
    /// The assertions, in the order of the file.
    pub entries: Vec<Entry>,
}

/// One assertion and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who runs the check.
    pub scope: Scope,
    /// How often in a row it must fail to be reported. Default: once.
    pub tolerance: NonZeroU32,
    /// The check.
    pub check: Check,
}

/// Who runs a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The daemon.
    #[default]
    System,
    /// Each connected agent.
    User,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or does not say what it should: the error names file, line and key.
    ///
    /// # Security
    ///
    /// The file names commands that the daemon runs. One that somebody other than root and the
    /// daemon's own user can write to is refused.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        let is_ours = meta.uid() == 0 || meta.uid() == nix::unistd::geteuid().as_raw();
        if !is_ours || meta.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(ConfigError::Exposed {
                path: path.to_owned(),
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Parses `text`; `path` is only for messages.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |span: Option<Range<usize>>, message: &str| {
            let offset = span.map_or(0, |span| span.start);
            let line = text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
            let quoted = text
                .lines()
                .nth(line - 1)
                .unwrap_or_default()
                .trim()
                .to_owned();
            // One line to the reader: the parser lists what it expected over several.
            let message = message.trim().replace('\n', "; ");
            ConfigError::Invalid {
                path: path.to_owned(),
                line,
                message,
                quoted,
            }
        };
        let raw: raw::Config =
            toml::from_str(text).map_err(|error| invalid(error.span(), error.message()))?;
        let mut names = BTreeSet::new();
        let mut entries = Vec::with_capacity(raw.check.len());
        for spanned in raw.check {
            let span = spanned.span();
            let entry = spanned
                .into_inner()
                .check()
                .map_err(|why| invalid(Some(span.clone()), &why))?;
            if !names.insert(entry.check.name.clone()) {
                let why = format!("two checks are called `{}`", entry.check.name);
                return Err(invalid(Some(span), &why));
            }
            entries.push(entry);
        }
        Ok(Self {
            interval: raw.interval.get(),
            at_once: raw.at_once,
            entries,
        })
    }

    /// The checks of one scope.
    #[must_use]
    pub fn checks(&self, scope: Scope) -> Vec<Check> {
        self.entries
            .iter()
            .filter(|entry| entry.scope == scope)
            .map(|entry| entry.check.clone())
            .collect()
    }

    /// The entry of the check with this name in this scope.
    #[must_use]
    pub fn entry(&self, scope: Scope, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.scope == scope && entry.check.name == name)
    }
}

const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Reads a length of time, written like `5s` or `500ms`; also those of command lines.
///
/// # Errors
///
/// When it is none, when it is nothing, and when it is longer than a year.
pub fn length_of_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a time must be longer than nothing".to_owned()),
        Ok(time) if time > LONGEST => Err("a time must not exceed a year".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!(
            "`{text}` is no length of time, write it like \"5s\" or \"500ms\": {error}"
        )),
    }
}

/// Longer times are mistakes, and no clock has to count them.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Why a configuration cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The machine did not give us the file.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could have written the file.
    #[error(
        "{} can be written by other users, and it names commands to run; take it over with \
         `chown` and `chmod go-w`",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The writer of the file made a mistake.
    #[error("{}:{line}: {message}, at `{quoted}`", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// That line.
        quoted: String,
    },
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("drift.toml"))
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_example_of_the_docs_is_read() {
        let example: String = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = parse(&example).unwrap();
        assert_eq!(config.interval, Duration::from_secs(5));
        assert_eq!(config.checks(Scope::System).len(), 1);
        assert_eq!(config.checks(Scope::User).len(), 1);
        let passwd = config.entry(Scope::System, "passwd").unwrap();
        assert_eq!(passwd.tolerance.get(), 2);
        assert!(config.entry(Scope::User, "passwd").is_none());
    }

    #[test]
    fn the_file_that_comes_with_the_daemon_is_read() {
        let config = parse(include_str!("../../drift.toml")).unwrap();
        assert_eq!(config.entries.len(), 5);
    }

    #[test]
    fn every_mistake_is_named_with_file_line_and_key() {
        for &(text, line, message) in MISTAKES {
            let complaint = complaint(text);
            assert!(
                complaint.starts_with(&format!("drift.toml:{line}: ")),
                "{complaint}"
            );
            assert!(complaint.contains(message), "{complaint}");
            assert!(!complaint.contains('\n'), "{complaint}");
        }
    }

    const MISTAKES: &[(&str, usize, &str)] = &[
        (
            "interval = \"5 parsecs\"",
            1,
            "`5 parsecs` is no length of time",
        ),
        ("interval = \"0s\"", 1, "longer than nothing"),
        ("interval = \"300000000000y\"", 1, "must not exceed a year"),
        ("intervall = \"5s\"", 1, "unknown field `intervall`"),
        (
            "\n[[check]]\nname = \"a\"\n",
            2,
            "needs exactly one of `file`",
        ),
        (
            "[[check]]\nprocess = { name = \"a\" }",
            1,
            "missing field `name`",
        ),
        (
            "[[check]]\nname = \"a\"\nport = { port = 70000 }",
            3,
            "70000",
        ),
        (
            "[[check]]\nname = \"a\"\nprocess = { nam = \"a\" }",
            3,
            "unknown field `nam`",
        ),
        (
            "[[check]]\nname = \"a\"\nfile = { path = \"/\", mode = \"9\" }",
            3,
            "`9` is no mode",
        ),
        (
            "[[check]]\nname = \"a\"\nfile = { path = \"/\", owner = -1 }",
            3,
            "`-1` is no owner",
        ),
        (
            "[[check]]\nname = \"a\"\nfile = { path = \"/\", owner = \"x\" }",
            3,
            "`x` is no owner",
        ),
        (
            "[[check]]\nname = \"a\"\ntolerance = 0\nprocess.name = \"a\"",
            3,
            "tolerance",
        ),
        (
            "[[check]]\nname = \"a\"\nscope = \"users\"\nprocess.name = \"a\"",
            3,
            "unknown variant",
        ),
        (
            "[[check]]\nname = \"\"\nprocess.name = \"a\"",
            1,
            "`name` needs",
        ),
        (
            "[[check]]\nname = \"a\"\ncommand.argv = []",
            1,
            "names no program",
        ),
        ("a = [", 1, "a = ["),
    ];

    #[test]
    fn two_checks_of_one_name_are_refused_at_the_second() {
        let one = "[[check]]\nname = \"a\"\nprocess.name = \"a\"\n";
        let complaint = complaint(&format!("{one}{one}"));
        assert!(
            complaint.starts_with("drift.toml:4: two checks are called `a`"),
            "{complaint}"
        );
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drift.toml");
        assert!(matches!(
            Config::read(&path),
            Err(ConfigError::Unreadable { .. })
        ));
        std::fs::write(&path, "").unwrap();
        for mode in [0o664, 0o646] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(
                Config::read(&path),
                Err(ConfigError::Exposed { .. })
            ));
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(Config::read(&path).unwrap().entries.is_empty());
    }
}
