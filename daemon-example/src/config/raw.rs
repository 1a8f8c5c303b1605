//! The file as it is written, before it is checked.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{Entry, Scope, length_of_time};
use crate::checks::{self, Assertion, Check};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default = "default_interval")]
    pub(super) interval: Span,
    #[serde(default = "default_at_once")]
    pub(super) at_once: usize,
    #[serde(default)]
    pub(super) check: Vec<Spanned<RawCheck>>,
}

fn default_interval() -> Span {
    Span(Duration::from_secs(5))
}

const fn default_at_once() -> usize {
    4
}

/// Not an enum with the kind as its tag: serde cannot deny unknown fields beside a flattened one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    name: String,
    #[serde(default)]
    scope: Scope,
    #[serde(default = "default_tolerance")]
    tolerance: NonZeroU32,
    #[serde(default = "default_timeout")]
    timeout: Span,
    file: Option<checks::File>,
    process: Option<checks::Process>,
    port: Option<checks::Port>,
    socket: Option<checks::Socket>,
    command: Option<checks::Command>,
}

const fn default_tolerance() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(10))
}

impl RawCheck {
    pub(super) fn check(self) -> Result<Entry, String> {
        let Self {
            name,
            scope,
            tolerance,
            timeout,
            file,
            process,
            port,
            socket,
            command,
        } = self;
        if name.is_empty() || name.len() > NAME_LIMIT || name.contains(char::is_control) {
            return Err(format!(
                "`name` needs 1 to {NAME_LIMIT} printable characters"
            ));
        }
        if command
            .as_ref()
            .is_some_and(|command| command.argv.is_empty())
        {
            return Err(format!("the command of `{name}` names no program"));
        }
        let mut kinds = [
            file.map(Assertion::File),
            process.map(Assertion::Process),
            port.map(Assertion::Port),
            socket.map(Assertion::Socket),
            command.map(Assertion::Command),
        ]
        .into_iter()
        .flatten();
        let (Some(assertion), None) = (kinds.next(), kinds.next()) else {
            return Err(format!(
                "`{name}` needs exactly one of `file`, `process`, `port`, `socket`, `command`"
            ));
        };
        let check = Check {
            name,
            timeout: timeout.0,
            assertion,
        };
        Ok(Entry {
            scope,
            tolerance,
            check,
        })
    }
}

const NAME_LIMIT: usize = 64;

/// A length of time, written like `5s` or `500ms`.
pub(super) struct Span(Duration);

impl Span {
    pub(super) const fn get(&self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        length_of_time(&text).map(Self).map_err(de::Error::custom)
    }
}
