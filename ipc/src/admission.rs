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
    own_uid: u32,
    seats: Seats,
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
        let seats = Seats::new(limits, descriptors);
        if seats.total < limits.max_connections {
            warn!(
                descriptors,
                connections = seats.total,
                "the limit of descriptors lowers max_connections"
            );
        }
        Self {
            policy,
            own_uid: sys::own_uid(),
            seats,
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
        let free = if self.is_other(uid) {
            let others = taken.iter().filter(|(uid, _)| self.is_other(**uid));
            let others: u32 = others.map(|(_, seats)| seats).sum();
            own < self.seats.per_other && others < self.seats.others
        } else {
            own < self.seats.per_user
        };
        if total >= self.seats.total || !free {
            return Err(Refusal::Full);
        }
        taken.insert(uid, own + 1);
        drop(taken);
        let admission = Arc::clone(self);
        Ok(Seat { admission, uid })
    }

    /// Neither root nor our own user, who could stop us anyway.
    fn is_other(&self, uid: u32) -> bool {
        uid != 0 && uid != self.own_uid
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

/// How many connections there may be; the others are all users but root and our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seats {
    total: u32,
    per_user: u32,
    others: u32,
    per_other: u32,
}

impl Seats {
    /// A connection takes up to three descriptors: a socket, a pidfd, and while a write is blocked
    /// the socket once more. A quarter is left for all else.
    ///
    /// One of the others leaves a quarter of all seats to the rest of them, and all of them a sixteenth to root and to us:
    /// one with a range in `/etc/subuid` is many.
    fn new(limits: &Limits, descriptors: u64) -> Self {
        let room = u32::try_from(descriptors / 4).unwrap_or(u32::MAX).max(2);
        let total = limits.max_connections.min(room);
        let per_user = limits.max_connections_per_user;
        Self {
            total,
            per_user,
            others: total - total / 16,
            per_other: per_user.min(total - total.div_ceil(4)).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn few_descriptors_mean_fewer_seats_and_some_for_others() {
        let seats = |descriptors| {
            let seats = Seats::new(&Limits::default(), descriptors);
            (seats.total, seats.per_other)
        };
        assert_eq!(seats(u64::MAX), (4_096, 1_024));
        assert_eq!(seats(256), (64, 48));
        assert_eq!(seats(1_024), (256, 192));
        assert_eq!(seats(0), (2, 1));
    }

    #[test]
    fn few_connections_in_all_mean_fewer_of_one_user_and_some_for_the_daemons_own() {
        let seats = |max_connections| {
            let limits = Limits {
                max_connections,
                ..Limits::default()
            };
            let seats = Seats::new(&limits, u64::MAX);
            (seats.others, seats.per_other)
        };
        for (total, others) in [
            (1, (1, 1)),
            (2, (2, 1)),
            (4, (4, 3)),
            (15, (15, 11)),
            (16, (15, 12)),
            (512, (480, 384)),
            (4_096, (3_840, 1_024)),
            (u32::MAX, (u32::MAX / 16 * 15 + 15, 1_024)),
        ] {
            assert_eq!(seats(total), others, "{total}");
        }
    }

    #[test]
    fn users_of_many_uids_leave_seats_to_root_and_to_the_daemons_own_user() {
        let limits = Limits {
            max_connections: 32,
            ..Limits::default()
        };
        let policy = Policy::any_user().resolve().unwrap();
        let mut admission = Admission::new(policy, &limits);
        admission.own_uid = 7;
        let admission = Arc::new(admission);
        let enter = |uid| {
            admission
                .admit(Peer::invented(uid, 7, &[]))
                .map(|(_, seat)| seat)
        };
        let mut taken: Vec<Seat> = (100_000..100_030).map(|uid| enter(uid).unwrap()).collect();
        assert!(matches!(enter(100_030), Err(Refusal::Full)));
        taken.extend([enter(0).unwrap(), enter(7).unwrap()]);
        assert!(matches!(enter(0), Err(Refusal::Full)));
        taken.truncate(29);
        taken.extend((0..3).map(|_| enter(7).unwrap()));
        assert!(matches!(enter(7), Err(Refusal::Full)));
        assert!(matches!(enter(100_030), Err(Refusal::Full)));
    }

    #[test]
    fn a_daemons_own_user_may_have_every_connection() {
        let limits = Limits {
            max_connections: 4,
            ..Limits::default()
        };
        let policy = Policy::default().resolve().unwrap();
        let admission = Arc::new(Admission::new(policy, &limits));
        let own = || admission.admit(Peer::invented(sys::own_uid(), 7, &[]));
        let taken = [(); 4].map(|()| own().unwrap());
        assert!(matches!(own(), Err(Refusal::Full)));
        drop(taken);
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
