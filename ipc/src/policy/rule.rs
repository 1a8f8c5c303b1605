//! The tree of a policy, by name and once its names are looked up.

use std::fmt;

use super::{PolicyError, find_group};
use crate::peer::Peer;

/// A rule over groups known by name, or once resolved by number and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule<G> {
    User(u32),
    SameUser,
    Group(G),
    AnyUser,
    ConsoleUser,
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
}

impl Rule<String> {
    pub(super) fn resolve(&self) -> Result<Rule<u32>, PolicyError> {
        Ok(match self {
            Self::User(uid) => Rule::User(*uid),
            Self::SameUser => Rule::SameUser,
            Self::Group(name) => Rule::Group(
                find_group(name)?.ok_or_else(|| PolicyError::UnknownGroup(name.clone()))?,
            ),
            Self::AnyUser => Rule::AnyUser,
            Self::ConsoleUser => Rule::ConsoleUser,
            Self::And(left, right) => {
                Rule::And(Box::new(left.resolve()?), Box::new(right.resolve()?))
            }
            Self::Or(left, right) => {
                Rule::Or(Box::new(left.resolve()?), Box::new(right.resolve()?))
            }
            Self::Not(rule) => Rule::Not(Box::new(rule.resolve()?)),
        })
    }
}

impl Rule<u32> {
    /// `None` if it cannot be known; and, or, not are Kleene's.
    pub(super) fn admits(
        &self,
        peer: &Peer,
        own_uid: u32,
        console: fn() -> Option<u32>,
    ) -> Option<bool> {
        let admits = |rule: &Self| rule.admits(peer, own_uid, console);
        match self {
            Self::User(uid) => Some(peer.uid() == *uid),
            Self::SameUser => Some(peer.uid() == own_uid),
            Self::Group(gid) => peer.is_member_of(*gid),
            Self::AnyUser => Some(true),
            Self::ConsoleUser => console().map(|uid| peer.uid() == uid),
            Self::And(left, right) => match (admits(left), admits(right)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                (None, _) | (_, None) => None,
            },
            Self::Or(left, right) => match (admits(left), admits(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                (None, _) | (_, None) => None,
            },
            Self::Not(rule) => admits(rule).map(|admitted| !admitted),
        }
    }
}

impl fmt::Display for Rule<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(0) => f.write_str("root"),
            Self::User(uid) => write!(f, "user {uid}"),
            Self::SameUser => f.write_str("same user"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::AnyUser => f.write_str("any user"),
            Self::ConsoleUser => f.write_str("console user"),
            Self::And(left, right) => write!(f, "({left} and {right})"),
            Self::Or(left, right) => write!(f, "({left} or {right})"),
            Self::Not(rule) => write!(f, "not {rule}"),
        }
    }
}
