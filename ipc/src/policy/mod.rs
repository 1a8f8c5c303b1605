//! Who may connect: a policy, and the proof that it was checked.

mod rule;

use std::fmt;
use std::ops::Not;

use nix::errno::Errno;
use nix::unistd::Group;

use self::rule::Rule;
use crate::peer::Peer;
use crate::sync::Arc;
use crate::sys;

/// Who may be at the other end. Used by both: a daemon lets users in by it, an agent trusts a daemon by it.
///
/// ```
/// # use ipc::Policy;
/// let staff_or_root = Policy::group("staff").or(Policy::root());
/// let anyone_but_nobody = Policy::any_user().and(!Policy::user(65534));
/// ```
///
/// The default is root or the user this process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing until it is given to a server or a client"]
pub struct Policy(Rule<String>);

/// Why a policy cannot be applied.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The policy names a group this machine does not have.
    #[error("there is no group {0:?}")]
    UnknownGroup(String),
    /// The user database did not answer.
    #[error("group {0:?} cannot be looked up")]
    LookUp(String, #[source] std::io::Error),
}

impl Policy {
    /// Root.
    pub const fn root() -> Self {
        Self::user(0)
    }

    /// One user.
    pub const fn user(uid: u32) -> Self {
        Self(Rule::User(uid))
    }

    /// The user this process runs as.
    pub const fn same_user() -> Self {
        Self(Rule::SameUser)
    }

    /// The members of a group. The name is looked up once, before anyone can connect; membership is what the kernel says at connect.
    ///
    /// # Security
    ///
    /// Made to admit, not to exclude: see [`Policy::not`]. A member of more than 15 groups beside the effective one may not be
    /// known as one on macOS, which tells no more.
    pub fn group(name: impl Into<String>) -> Self {
        Self(Rule::Group(name.into()))
    }

    /// Every user of the machine.
    ///
    /// # Security
    ///
    /// On Linux a user with a range in `/etc/subuid`, by default of 65,536, has as many uids, and each of them
    /// [`Limits::max_connections_per_user`](crate::Limits::max_connections_per_user). All connections but the sixteenth that is
    /// kept for root and the server's own user may be such a user's, here and under [`Self::group`]; only [`Self::user`] tells
    /// them apart.
    pub const fn any_user() -> Self {
        Self(Rule::AnyUser)
    }

    /// The user who sits at the machine: the owner of `/dev/console` on macOS, the active session of `seat0` on Linux.
    ///
    /// # Security
    ///
    /// It changes with fast user switching, and is asked when a peer connects. While nobody is known to sit there, nobody is admitted
    /// by this rule nor by its opposite.
    pub const fn console_user() -> Self {
        Self(Rule::ConsoleUser)
    }

    /// Both must admit.
    pub fn and(self, other: Self) -> Self {
        Self(Rule::And(Box::new(self.0), Box::new(other.0)))
    }

    /// One must admit.
    pub fn or(self, other: Self) -> Self {
        Self(Rule::Or(Box::new(self.0), Box::new(other.0)))
    }

    /// Looks up the names, so that no check ever waits for a directory service.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] for a group that does not exist or cannot be looked up.
    pub(crate) fn resolve(&self) -> Result<ResolvedPolicy, PolicyError> {
        let rule = self.0.resolve()?;
        Ok(ResolvedPolicy {
            rule,
            own_uid: sys::own_uid(),
            text: self.to_string().into(),
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::root().or(Self::same_user())
    }
}

impl Not for Policy {
    type Output = Self;

    /// Whom this policy does not admit. What cannot be known, the console user or one of too many groups, admits nobody either way.
    ///
    /// # Security
    ///
    /// No boundary where it excludes a group on Linux: a user with a range in `/etc/subgid` can come out of a user namespace without
    /// those groups. Nor where it excludes a user who has a range in `/etc/subuid`. Name those who may come, instead.
    fn not(self) -> Self {
        Self(Rule::Not(Box::new(self.0)))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A [`Policy`] with its names looked up, ready to check peers.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedPolicy {
    rule: Rule<u32>,
    own_uid: u32,
    text: Arc<str>,
}

impl ResolvedPolicy {
    /// Lets the peer in, or says why not.
    ///
    /// # Errors
    ///
    /// [`Denied`], if the policy does not admit the peer.
    pub(crate) fn check(&self, peer: Peer) -> Result<Admitted, Denied> {
        // What cannot be known admits nobody, under a `!` too.
        match self.rule.admits(&peer, self.own_uid, sys::console_user) {
            Some(true) => Ok(Admitted(peer)),
            Some(false) | None => Err(Denied {
                uid: peer.uid(),
                rule: Arc::clone(&self.text),
            }),
        }
    }
}

/// Proof that a policy let this peer in; only [`ResolvedPolicy::check`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct Admitted(Peer);

impl Admitted {
    /// The peer that was let in.
    #[must_use]
    pub(crate) fn into_peer(self) -> Peer {
        self.0
    }
}

/// A policy did not let the peer in.
#[derive(Clone, Debug, thiserror::Error)]
#[error("uid {uid} is not admitted by the policy \"{rule}\"")]
pub struct Denied {
    uid: u32,
    rule: Arc<str>,
}

impl Denied {
    /// The user who asked.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The policy that refused, in words.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

/// Who counts as what for the access of single methods, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedAccess {
    own_uid: u32,
    admins: Vec<u32>,
}

impl ResolvedAccess {
    /// Looks up the groups of administrators: `admin` on macOS, `sudo` and `wheel` on Linux. One that does not exist has no members.
    ///
    /// # Errors
    ///
    /// [`PolicyError::LookUp`], if the user database does not answer.
    pub(crate) fn resolve(admins: bool) -> Result<Self, PolicyError> {
        let names = if admins { sys::ADMIN_GROUPS } else { &[] };
        let mut admins = Vec::new();
        for name in names {
            admins.extend(find_group(name)?);
        }
        Ok(Self {
            own_uid: sys::own_uid(),
            admins,
        })
    }

    /// Whether the peer is root.
    #[must_use]
    pub(crate) fn root(&self, peer: &Peer) -> bool {
        peer.uid() == 0
    }

    /// Whether the peer is the user this process runs as, or root.
    #[must_use]
    pub(crate) fn same_user(&self, peer: &Peer) -> bool {
        self.root(peer) || peer.uid() == self.own_uid
    }

    /// Whether the peer is an administrator, or root.
    #[must_use]
    pub(crate) fn admin(&self, peer: &Peer) -> bool {
        self.root(peer)
            || self
                .admins
                .iter()
                .any(|&gid| peer.is_member_of(gid) == Some(true))
    }
}

fn find_group(name: &str) -> Result<Option<u32>, PolicyError> {
    match Group::from_name(name) {
        Ok(group) => Ok(group.map(|group| group.gid.as_raw())),
        // How getgrnam_r says "no such group" on some systems: getgrnam(3).
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(errno) => Err(PolicyError::LookUp(name.to_owned(), errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(policy: &Policy, uid: u32, gid: u32, groups: &[u32]) -> bool {
        policy
            .resolve()
            .unwrap()
            .check(Peer::invented(uid, gid, groups))
            .is_ok()
    }

    #[test]
    fn the_default_admits_root_and_the_own_user_only() {
        let own = sys::own_uid();
        assert!(admits(&Policy::default(), 0, 0, &[]));
        assert!(admits(&Policy::default(), own, 5, &[]));
        assert!(!admits(&Policy::default(), own + 1, 0, &[0]));
    }

    #[test]
    fn a_group_admits_by_effective_and_by_supplementary_group() {
        let policy = Policy::group(if sys::PLATFORM == sys::Platform::Linux {
            "root"
        } else {
            "wheel"
        });
        assert!(admits(&policy, 1001, 0, &[]));
        assert!(admits(&policy, 1001, 1001, &[7, 0]));
        assert!(!admits(&policy, 1001, 1001, &[7]));
        assert!(
            !admits(&policy, 0, 1001, &[]),
            "root is not a member by being root"
        );
    }

    #[test]
    fn a_group_that_does_not_exist_is_an_error_and_not_an_empty_group() {
        let policy = Policy::root().or(!Policy::group("no-such-group-here"));
        assert!(
            matches!(policy.resolve(), Err(PolicyError::UnknownGroup(name)) if name == "no-such-group-here")
        );
    }

    #[test]
    fn rules_combine() {
        let policy = Policy::any_user()
            .and(!Policy::user(7))
            .or(Policy::user(7).and(Policy::user(8)));
        assert!(admits(&policy, 6, 0, &[]));
        assert!(!admits(&policy, 7, 0, &[]));
    }

    #[test]
    fn an_unknown_console_user_admits_nobody_by_the_rule_or_its_opposite() {
        let peer = Peer::invented(501, 20, &[]);
        let check = |policy: Policy, console| policy.0.resolve().unwrap().admits(&peer, 0, console);
        assert_eq!(check(Policy::console_user(), || Some(501)), Some(true));
        assert_eq!(check(!Policy::console_user(), || Some(501)), Some(false));
        assert_eq!(check(Policy::console_user(), || None), None);
        assert_eq!(check(!Policy::console_user(), || None), None);
        assert_eq!(
            check(Policy::any_user().and(!Policy::console_user()), || None),
            None
        );
        assert_eq!(
            check(Policy::any_user().or(Policy::console_user()), || None),
            Some(true)
        );
        assert_eq!(
            check(Policy::root().or(!Policy::console_user()), || None),
            None
        );
        assert_eq!(
            check(Policy::root().and(!Policy::console_user()), || None),
            Some(false)
        );
    }

    #[test]
    fn a_group_that_may_not_have_been_told_admits_nobody_by_its_opposite() {
        let peer = Peer::with_more_groups(501, 20, &[20, 80]);
        let check = |rule: Rule<u32>| rule.admits(&peer, 0, || None);
        let without = |gid| Rule::Not(Box::new(Rule::Group(gid)));
        assert_eq!(check(Rule::Group(20)), Some(true));
        assert_eq!(check(without(80)), Some(false));
        assert_eq!(check(Rule::Group(81)), None);
        assert_eq!(check(without(81)), None);
        let others = Rule::And(Box::new(Rule::AnyUser), Box::new(without(81)));
        let policy = ResolvedPolicy {
            rule: others,
            own_uid: 0,
            text: "".into(),
        };
        assert!(policy.check(peer.clone()).is_err());
        assert!(policy.check(Peer::invented(501, 20, &[20, 80])).is_ok());
    }

    #[test]
    fn a_refusal_names_the_user_and_the_policy() {
        let policy = (!Policy::group("root").and(Policy::any_user()))
            .and(Policy::root().or(Policy::user(3)));
        let denied = policy
            .resolve()
            .map(|policy| policy.check(Peer::invented(1001, 1001, &[])).unwrap_err());
        if sys::PLATFORM == sys::Platform::Linux {
            let text = denied.unwrap().to_string();
            assert_eq!(
                text,
                "uid 1001 is not admitted by the policy \"(not (group root and any user) and (root or user 3))\""
            );
        }
    }

    #[test]
    fn access_of_methods_knows_root_own_user_and_administrators() {
        let access = ResolvedAccess {
            own_uid: 42,
            admins: vec![27],
        };
        let is = |uid, groups: &[u32]| {
            let peer = Peer::invented(uid, 1001, groups);
            (
                access.root(&peer),
                access.same_user(&peer),
                access.admin(&peer),
            )
        };
        assert_eq!(is(0, &[]), (true, true, true));
        assert_eq!(is(42, &[]), (false, true, false));
        assert_eq!(is(1001, &[27]), (false, false, true));
        assert_eq!(is(1001, &[28]), (false, false, false));
        assert!(!access.admin(&Peer::with_more_groups(1001, 1001, &[28])));
        assert!(ResolvedAccess::resolve(true).is_ok());
    }
}
