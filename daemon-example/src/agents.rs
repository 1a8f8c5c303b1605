//! Which agents are connected, and how each is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, TryLockError};

use crate::proto::AgentClient;

/// The connected agents, one for each user and name.
#[derive(Debug, Default)]
pub struct Agents {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<(u32, String), Arc<Agent>>,
    /// Users that lost an agent since the last sweep.
    bereft: BTreeSet<u32>,
}

impl State {
    /// Drops the agents whose connection is over. One that merely fails stays.
    fn prune(&mut self) {
        let Self { known, bereft } = self;
        known.retain(|(uid, _), agent| {
            let is_gone = agent.is_gone();
            if is_gone {
                bereft.insert(*uid);
            }
            !is_gone
        });
    }

    fn has(&self, uid: u32) -> bool {
        self.known.keys().any(|(owner, _)| *owner == uid)
    }
}

/// One connected agent.
#[derive(Debug)]
pub struct Agent {
    /// Its user, as the kernel says.
    pub uid: u32,
    /// Its name among the agents of its user.
    pub name: String,
    /// Calls go over the connection that the agent opened.
    pub client: AgentClient,
    turn: Turn<()>,
}

impl Agent {
    /// Takes the one turn there is: an agent that does not answer is not asked again meanwhile.
    ///
    /// # Errors
    ///
    /// While another turn lasts.
    pub fn try_turn(&self) -> Result<impl Drop + '_, TryLockError> {
        self.turn.try_lock()
    }

    /// Whether its connection is over.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.client.client().close_reason().is_some()
    }
}

impl Agents {
    /// Takes in an agent; an earlier one of the same user and name gives way.
    ///
    /// # Errors
    ///
    /// When the name is not one, or there are too many agents, of this user or of all.
    pub fn register(&self, uid: u32, name: String, client: AgentClient) -> Result<(), Refused> {
        if !is_name(&name) {
            return Err(Refused::Name);
        }
        let mut state = self.state();
        state.prune();
        let key = (uid, name.clone());
        if !state.known.contains_key(&key) {
            let own = state.known.keys().filter(|(owner, _)| *owner == uid);
            if own.count() >= PER_USER {
                return Err(Refused::Crowded);
            }
            if state.known.len() >= LIMIT {
                return Err(Refused::Full);
            }
        }
        state.known.insert(
            key,
            Arc::new(Agent {
                uid,
                name,
                client,
                turn: Turn::new(()),
            }),
        );
        Ok(())
    }

    /// All of them now.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Agent>> {
        self.state().known.values().map(Arc::clone).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let state = self.state();
        state
            .known
            .values()
            .filter(|agent| !agent.is_gone())
            .count()
    }

    /// Whether this user has one that is connected.
    #[must_use]
    pub fn has(&self, uid: u32) -> bool {
        let state = self.state();
        let mut own = state.known.values().filter(|agent| agent.uid == uid);
        own.any(|agent| !agent.is_gone())
    }

    /// Drops the agents whose connection is over; gives the users that have no other.
    #[must_use]
    pub fn sweep(&self) -> Vec<u32> {
        let mut state = self.state();
        state.prune();
        let bereft = std::mem::take(&mut state.bereft);
        bereft.into_iter().filter(|&uid| !state.has(uid)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an agent was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The agent chose badly.
    #[error("a name has 1 to 64 letters, digits or punctuation marks")]
    Name,
    /// The user has had its share.
    #[error("too many agents of this user are registered")]
    Crowded,
    /// The daemon has no room.
    #[error("too many agents are registered")]
    Full,
}

/// Names go into logs: nothing that could forge a line or a colour.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Of all users together.
const LIMIT: usize = 1024;

/// Of one user, so that none can keep the others out.
const PER_USER: usize = 16;

#[cfg(test)]
mod tests {
    use ipc::testing::{End, Split, pair};

    use super::*;

    #[test]
    fn a_name_cannot_forge_a_log_line() {
        let long = "x".repeat(65);
        for bad in ["", "a b", "a\nb", "a\x1b[31m", "ä", long.as_str()] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("laptop-1.local"));
    }

    async fn connected() -> (ipc::Client, AgentClient) {
        let (near, far) = pair(End::new(), End::new(), Split::Whole).await.unwrap();
        (near, AgentClient::new(far))
    }

    #[tokio::test]
    async fn one_user_cannot_keep_the_others_out() {
        let (_near, client) = connected().await;
        let agents = Agents::default();
        let register = |uid, n: usize| agents.register(uid, n.to_string(), client.clone());
        for n in 0..PER_USER {
            assert_eq!(register(501, n), Ok(()));
        }
        assert_eq!(register(501, PER_USER), Err(Refused::Crowded));
        assert_eq!(register(501, 0), Ok(()));
        assert_eq!(register(502, 0), Ok(()));
    }

    #[tokio::test]
    async fn an_agent_whose_connection_is_over_gives_way() {
        let agents = Agents::default();
        let (near, client) = connected().await;
        for n in 0..PER_USER {
            agents.register(501, n.to_string(), client.clone()).unwrap();
        }
        assert!(agents.sweep().is_empty());
        drop(near);
        client.client().closed().await;
        assert_eq!(agents.count(), 0);
        let (_near, client) = connected().await;
        agents.register(502, "a".to_owned(), client).unwrap();
        assert_eq!((agents.all().len(), agents.sweep()), (1, vec![501]));
        assert!(agents.sweep().is_empty());
    }
}
