//! Who is let in: the policy, and a seat for each connection.

use std::collections::HashMap;

use tracing::{debug, warn};

use crate::clock::now;
use crate::complaints::Seldom;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::policy::{Admitted, Denied, ResolvedPolicy};
use crate::sync::{Arc, Mutex, PoisonError};
use crate::sys;

/// What decides about each peer of a server.
#[derive(Debug)]
pub(crate) struct Admission {
    policy: ResolvedPolicy,
    total: u32,
    per_user: u32,
    taken: Mutex<HashMap<u32, u32>>,
    refused: Seldom,
}

/// Why a peer is turned away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("not admitted by policy")]
    Denied(#[source] Denied),
    #[error("too many connections")]
    Full,
}

impl Admission {
    /// The limit of descriptors of the process is raised as far as it goes, and what is left
    /// too low for the connections in `limits` lowers those.
    pub(crate) fn new(policy: ResolvedPolicy, limits: &Limits) -> Self {
        let descriptors = sys::raise_descriptor_limit().unwrap_or_else(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "limit of descriptors is not known"
            );
            u64::MAX
        });
        let (total, per_user) = seats(limits, descriptors);
        if total < limits.max_connections {
            warn!(
                descriptors,
                connections = total,
                "the limit of descriptors lowers max_connections"
            );
        }
        Self {
            policy,
            total,
            per_user,
            taken: Mutex::default(),
            refused: Seldom::default(),
        }
    }

    /// Lets a peer in, or says why not. What is refused is logged once a second at most, so
    /// that a stranger cannot fill the log.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Result<(Admitted, Seat), Refusal> {
        let uid = peer.uid();
        let admitted = self.policy.check(peer).map_err(Refusal::Denied);
        let admitted = admitted.and_then(|admitted| Ok((admitted, self.seat(uid)?)));
        admitted.inspect_err(|refusal| {
            let refusal: &dyn std::error::Error = refusal;
            match self.refused.count(now()) {
                Some(others) => warn!(peer.uid = uid, refusal, others, "refused"),
                None => debug!(peer.uid = uid, refusal, "refused"),
            }
        })
    }

    fn seat(self: &Arc<Self>, uid: u32) -> Result<Seat, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u32 = taken.values().sum();
        let own = taken.get(&uid).copied().unwrap_or_default();
        if total >= self.total || own >= self.per_user {
            return Err(Refusal::Full);
        }
        taken.insert(uid, own + 1);
        drop(taken);
        let admission = Arc::clone(self);
        Ok(Seat { admission, uid })
    }
}

/// One connection in the count; gives its place up when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    admission: Arc<Admission>,
    uid: u32,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let taken = &self.admission.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

/// Connections in all and of one user. A connection takes up to three descriptors: a socket, a
/// pidfd, and while a write is blocked the socket once more. A quarter is left for all else,
/// and for other users.
fn seats(limits: &Limits, descriptors: u64) -> (u32, u32) {
    let room = u32::try_from(descriptors / 4).unwrap_or(u32::MAX).max(2);
    if room >= limits.max_connections {
        return (limits.max_connections, limits.max_connections_per_user);
    }
    (
        room,
        limits.max_connections_per_user.min(room / 4 * 3).max(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn few_descriptors_mean_fewer_seats_and_some_for_others() {
        let limits = Limits::default();
        assert_eq!(seats(&limits, u64::MAX), (4_096, 1_024));
        assert_eq!(seats(&limits, 256), (64, 48));
        assert_eq!(seats(&limits, 1_024), (256, 192));
        assert_eq!(seats(&limits, 0), (2, 1));
    }

    #[test]
    fn a_user_has_no_more_seats_than_its_share_and_gets_them_back() {
        let limits = Limits {
            max_connections_per_user: 2,
            ..Limits::default()
        };
        let policy = Policy::any_user().resolve().unwrap();
        let admission = Arc::new(Admission::new(policy, &limits));
        let enter = |uid| admission.admit(Peer::invented(uid, 7, &[]));
        let (_first, second) = (enter(7).unwrap(), enter(7).unwrap());
        assert!(matches!(enter(7), Err(Refusal::Full)));
        assert!(enter(8).is_ok());
        drop(second);
        assert!(enter(7).is_ok());
    }
}
