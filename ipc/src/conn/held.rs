//! A hold on one call: as long as it lives, the call's state is kept.

use super::Connection;
use crate::status::Code;
use crate::sync::Arc;
use crate::wire::Key;

/// A hold on one call. A call of ours that is still open is cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: Key,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The peer opened the call.
    Incoming,
    /// We opened it; it holds a permit.
    Outgoing,
    /// We opened it; it goes on by itself.
    OneWay,
}

impl Held {
    pub(crate) const fn incoming(connection: Arc<Connection>, key: Key) -> Self {
        Self {
            connection,
            key,
            role: Role::Incoming,
        }
    }

    pub(crate) const fn outgoing(connection: Arc<Connection>, key: Key, answered: bool) -> Self {
        let role = if answered {
            Role::Outgoing
        } else {
            Role::OneWay
        };
        Self {
            connection,
            key,
            role,
        }
    }

    /// Whether we opened the call.
    pub(crate) fn is_ours(&self) -> bool {
        self.role != Role::Incoming
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.role {
            Role::Incoming | Role::OneWay => self.connection.release(self.key),
            Role::Outgoing => {
                self.connection.abandon(self.key, Code::Cancelled.to_u32());
                self.connection.slots().add_permits(1);
            }
        }
    }
}

impl AsRef<Self> for Held {
    fn as_ref(&self) -> &Self {
        self
    }
}
