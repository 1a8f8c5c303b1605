//! Which agents are connected, and how each is reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, TryLockError};

use crate::proto::AgentClient;

/// The connected agents, one for each user and name.
#[derive(Debug, Default)]
pub struct Agents {
    known: Mutex<BTreeMap<(u32, String), Arc<Agent>>>,
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
}

impl Agents {
    /// Takes in an agent; an earlier one of the same user and name gives way.
    ///
    /// # Errors
    ///
    /// When the name is not one, or there are too many agents.
    pub fn register(&self, uid: u32, name: String, client: AgentClient) -> Result<(), Refused> {
        if !is_name(&name) {
            return Err(Refused::Name);
        }
        let mut known = self.known();
        let key = (uid, name.clone());
        if known.len() >= LIMIT && !known.contains_key(&key) {
            return Err(Refused::Full);
        }
        known.insert(
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
        self.known().values().map(Arc::clone).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known().len()
    }

    /// Drops an agent that is gone; whether its user has no other. One that took its place stays.
    #[must_use]
    pub fn remove(&self, agent: &Arc<Agent>) -> bool {
        let mut known = self.known();
        let key = (agent.uid, agent.name.clone());
        if known
            .get(&key)
            .is_some_and(|current| Arc::ptr_eq(current, agent))
        {
            known.remove(&key);
        }
        known.keys().all(|(uid, _)| *uid != agent.uid)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(u32, String), Arc<Agent>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an agent was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The agent chose badly.
    #[error("a name has 1 to 64 letters, digits or punctuation marks")]
    Name,
    /// The daemon has no room.
    #[error("too many agents are registered")]
    Full,
}

/// Names go into logs: nothing that could forge a line or a colour.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

const LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_log_line() {
        let long = "x".repeat(65);
        for bad in ["", "a b", "a\nb", "a\x1b[31m", "ä", long.as_str()] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("laptop-1.local"));
    }
}
