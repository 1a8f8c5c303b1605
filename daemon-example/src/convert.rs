//! Between what travels and what the checks work with. Nothing from the peer is taken unchecked.

use std::time::Duration;

use crate::checks::{self, Assertion, Check, Drift, Finding};
use crate::drift::{Delta, Subject};
use crate::proto;

impl From<&Check> for proto::Check {
    fn from(check: &Check) -> Self {
        let timeout_ms = u64::try_from(check.timeout.as_millis()).unwrap_or(u64::MAX);
        let assertion = Some(assertion(&check.assertion));
        Self {
            name: check.name.clone(),
            timeout_ms,
            assertion,
        }
    }
}

fn assertion(from: &Assertion) -> proto::check::Assertion {
    use proto::check::Assertion as To;
    match from.clone() {
        Assertion::File(checks::File {
            path,
            mode,
            owner,
            sha256,
            max_size,
        }) => {
            let (mode, owner) = (
                mode.map(checks::Mode::bits),
                owner.map(|owner| owner.to_string()),
            );
            To::File(proto::File {
                path,
                mode,
                owner,
                sha256,
                max_size: Some(max_size),
            })
        }
        Assertion::Process(checks::Process { name }) => To::Process(proto::Process { name }),
        Assertion::Port(checks::Port { host, port }) => To::Port(proto::Port {
            host,
            port: port.into(),
        }),
        Assertion::Socket(checks::Socket { path }) => To::Socket(proto::Socket { path }),
        Assertion::Command(checks::Command { argv, exit, prints }) => {
            To::Command(proto::Command { argv, exit, prints })
        }
    }
}

/// The sender of a message broke the schema in a way that protobuf cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(&'static str);

impl TryFrom<proto::Check> for Check {
    type Error = Malformed;

    fn try_from(check: proto::Check) -> Result<Self, Malformed> {
        use proto::check::Assertion as From;
        let assertion = match check
            .assertion
            .ok_or(Malformed("a check that asserts nothing"))?
        {
            From::File(file) => Assertion::File(file.try_into()?),
            From::Process(proto::Process { name }) => Assertion::Process(checks::Process { name }),
            From::Port(proto::Port { host, port }) => {
                let port = port
                    .try_into()
                    .map_err(|_| Malformed("a port above 65535"))?;
                Assertion::Port(checks::Port { host, port })
            }
            From::Socket(proto::Socket { path }) => Assertion::Socket(checks::Socket { path }),
            From::Command(proto::Command { argv, exit, prints }) => {
                Assertion::Command(checks::Command { argv, exit, prints })
            }
        };
        let timeout = Duration::from_millis(check.timeout_ms);
        Ok(Self {
            name: check.name,
            timeout,
            assertion,
        })
    }
}

impl TryFrom<proto::File> for checks::File {
    type Error = Malformed;

    fn try_from(file: proto::File) -> Result<Self, Malformed> {
        let mode = match file.mode {
            Some(bits) => {
                Some(checks::Mode::from_bits(bits).ok_or(Malformed("a mode with unknown bits"))?)
            }
            None => None,
        };
        let owner = match file.owner {
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Malformed("an owner that is no uid"))?,
            ),
            None => None,
        };
        Ok(Self {
            path: file.path,
            mode,
            owner,
            sha256: file.sha256,
            max_size: file.max_size.unwrap_or(Self::max_size()),
        })
    }
}

impl From<Finding> for proto::Finding {
    fn from(finding: Finding) -> Self {
        use proto::finding::Kind;
        let kind = match finding {
            Finding::Holds => Kind::Holds(()),
            Finding::Drifted(Drift {
                what,
                expected,
                found,
            }) => Kind::Drifted(proto::Drifted {
                what: tame(&what),
                expected: tame(&expected),
                found: tame(&found),
            }),
            Finding::Unchecked(why) => Kind::Unchecked(tame(&why)),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::Finding> for Finding {
    type Error = Malformed;

    fn try_from(finding: proto::Finding) -> Result<Self, Malformed> {
        use proto::finding::Kind;
        Ok(match finding.kind.ok_or(Malformed("an empty finding"))? {
            Kind::Holds(()) => Self::Holds,
            Kind::Drifted(proto::Drifted {
                what,
                expected,
                found,
            }) => Self::Drifted(Drift {
                what: tamed(what)?,
                expected: tamed(expected)?,
                found: tamed(found)?,
            }),
            Kind::Unchecked(why) => Self::Unchecked(tamed(why)?),
        })
    }
}

/// Text of a machine as it may travel: what could forge a line or a colour in a log is escaped, and what is long is cut.
pub(crate) fn tame(text: &str) -> String {
    let mut tame = String::new();
    for c in text.chars() {
        if tame.len() + ESCAPE > TEXT_LIMIT {
            break;
        }
        push_escaped(&mut tame, c);
    }
    tame
}

/// Text of a machine as it may be printed: all of it, its control characters escaped.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut escaped, c));
    escaped
}

fn push_escaped(text: &mut String, c: char) {
    if c.is_control() {
        text.extend(c.escape_default());
    } else {
        text.push(c);
    }
}

/// Refuses text that is not as [`tame`] makes it.
fn tamed(text: String) -> Result<String, Malformed> {
    if text.len() > TEXT_LIMIT {
        return Err(Malformed("a text of more than 4096 bytes"));
    }
    if text.contains(char::is_control) {
        return Err(Malformed("a text with control characters"));
    }
    Ok(text)
}

const TEXT_LIMIT: usize = 4096;

/// No control character is longer than this when escaped.
const ESCAPE: usize = 8;

/// One result of a check, as an agent tells it.
impl TryFrom<proto::CheckResult> for (String, Finding) {
    type Error = Malformed;

    fn try_from(result: proto::CheckResult) -> Result<Self, Malformed> {
        let finding = result
            .finding
            .ok_or(Malformed("a result without a finding"))?;
        Ok((tamed(result.name)?, finding.try_into()?))
    }
}

impl From<(String, Finding)> for proto::CheckResult {
    fn from((name, finding): (String, Finding)) -> Self {
        Self {
            name,
            finding: Some(finding.into()),
        }
    }
}

impl From<Subject> for proto::Subject {
    fn from(Subject { uid, name }: Subject) -> Self {
        Self { name, uid }
    }
}

impl From<(Subject, Finding)> for proto::Standing {
    fn from((subject, finding): (Subject, Finding)) -> Self {
        Self {
            subject: Some(subject.into()),
            finding: Some(finding.into()),
        }
    }
}

impl From<Delta> for proto::delta::Kind {
    fn from(Delta { subject, finding }: Delta) -> Self {
        match finding {
            Some(finding) => Self::Standing((subject, finding).into()),
            None => Self::Gone(subject.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_KIND: &str = r#"
        [[check]]
        name = "file"
        timeout = "1500ms"
        file = { path = "/f", mode = "4755", owner = "self", sha256 = "ab", max_size = 5_000_000_000 }
        [[check]]
        name = "owned"
        file = { path = "/f", owner = 7 }
        [[check]]
        name = "process"
        process = { name = "init" }
        [[check]]
        name = "port"
        port = { port = 22 }
        [[check]]
        name = "socket"
        socket = { path = "/s" }
        [[check]]
        name = "command"
        command = { argv = ["id", "-u"], exit = 3, prints = "{uid}" }
    "#;

    #[test]
    fn every_kind_of_check_travels_unchanged() {
        let config = crate::config::Config::parse(EVERY_KIND, "c".as_ref()).unwrap();
        for entry in config.entries {
            let sent = proto::Check::from(&entry.check);
            assert_eq!(Check::try_from(sent).unwrap(), entry.check);
        }
    }

    #[test]
    fn every_finding_travels_unchanged() {
        let text = || "x".to_owned();
        let drift = Drift {
            what: text(),
            expected: text(),
            found: text(),
        };
        for finding in [
            Finding::Holds,
            Finding::Drifted(drift),
            Finding::Unchecked(text()),
        ] {
            let sent = proto::CheckResult::from((text(), finding.clone()));
            assert_eq!(sent.try_into(), Ok((text(), finding)));
        }
    }

    #[test]
    fn text_that_could_forge_a_log_line_is_refused_and_never_sent() {
        use proto::finding::Kind;
        for bad in [
            "a\nb".to_owned(),
            "\x1b[31m".to_owned(),
            "x".repeat(TEXT_LIMIT + 1),
        ] {
            let drifted = |field: usize| {
                let mut texts = <[String; 3]>::default();
                texts[field].clone_from(&bad);
                let [what, expected, found] = texts;
                Kind::Drifted(proto::Drifted {
                    what,
                    expected,
                    found,
                })
            };
            for kind in [
                drifted(0),
                drifted(1),
                drifted(2),
                Kind::Unchecked(bad.clone()),
            ] {
                let sent = proto::Finding { kind: Some(kind) };
                assert!(Finding::try_from(sent).is_err(), "{bad:?}");
            }
            let sent = proto::Finding::from(Finding::Unchecked(bad));
            assert!(Finding::try_from(sent).is_ok());
        }
        assert_eq!(tame("a\nb"), "a\\nb");
    }

    #[test]
    fn what_the_schema_cannot_forbid_is_refused() {
        use proto::check::Assertion as Sent;
        let port = proto::Port {
            host: String::new(),
            port: 65_536,
        };
        let mode = proto::File {
            mode: Some(0o10_000),
            ..proto::File::default()
        };
        let owner = proto::File {
            owner: Some("root".to_owned()),
            ..proto::File::default()
        };
        for assertion in [
            None,
            Some(Sent::Port(port)),
            Some(Sent::File(mode)),
            Some(Sent::File(owner)),
        ] {
            let sent = proto::Check {
                assertion,
                ..proto::Check::default()
            };
            assert!(Check::try_from(sent).is_err());
        }
        assert!(Finding::try_from(proto::Finding::default()).is_err());
        assert!(<(String, Finding)>::try_from(proto::CheckResult::default()).is_err());
    }
}
