//! Method name to handler.

use std::collections::HashMap;
use std::fmt;

use crate::incoming::{Handling, Incoming};
use crate::limits::InvalidLimit;
use crate::sync::Arc;
use crate::wire::messages::ServiceInfo;
use crate::wire::method_id;

/// How many messages go each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One message each way.
    Unary,
    /// One request, many answers.
    ServerStreaming,
    /// Many requests, one answer.
    ClientStreaming,
    /// Many each way.
    Bidirectional,
    /// One request, no answer.
    OneWay,
}

/// Who may call a method, of those the policy lets in; `option (ipc.access)` in the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everyone the policy admits.
    #[default]
    Any,
    /// The serving process's own user, and root.
    SameUser,
    /// Administrators, and root.
    Admin,
    /// Root alone.
    Root,
}

/// Whether running a method twice does harm; `option idempotency_level` in the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// It may.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// Twice is the same as once.
    Idempotent,
}

/// What generated code says about one method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    path: &'static str,
    id: u32,
    shape: Shape,
    access: Access,
    idempotency: Idempotency,
}

impl Method {
    /// A method by its path, `package.Service/Method`.
    #[must_use]
    pub const fn new(path: &'static str, shape: Shape) -> Self {
        let (access, idempotency) = (Access::Any, Idempotency::Unknown);
        Self {
            path,
            id: method_id(path),
            shape,
            access,
            idempotency,
        }
    }

    /// Who may call it.
    #[must_use]
    pub const fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Whether running it twice does harm.
    #[must_use]
    pub const fn idempotency(self, idempotency: Idempotency) -> Self {
        Self {
            idempotency,
            ..self
        }
    }

    /// `package.Service/Method`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// How it travels: the FNV-1a hash of the path.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How many messages go each way.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Who may call it.
    #[must_use]
    pub const fn required_access(&self) -> Access {
        self.access
    }

    /// Whether running it twice does harm.
    #[must_use]
    pub const fn idempotency_level(&self) -> Idempotency {
        self.idempotency
    }
}

/// A set of methods; written by `ipc-build`, implemented by hand only in tests.
pub trait Service: Send + Sync + 'static {
    /// `package.Service`.
    fn name(&self) -> &'static str;

    /// The methods; `call` is given indices of this list.
    fn methods(&self) -> &'static [Method];

    /// Hash of the schema.
    fn schema(&self) -> u64;

    /// Runs a method.
    fn call(&self, method: usize, incoming: Incoming) -> Handling;
}

/// Why a server or client cannot be built; decidable by reading the code.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two methods share a 32-bit id, or a service was added twice.
    #[error("methods {first} and {second} have the same id; rename one")]
    Collision {
        /// The one that was there.
        first: &'static str,
        /// The one that was added.
        second: &'static str,
    },
    /// A limit is out of range.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
}

/// All services of one side, found by method id.
#[derive(Default)]
pub(crate) struct Services {
    services: Vec<Arc<dyn Service>>,
    methods: HashMap<u32, Entry>,
}

/// One method of a registered service.
#[derive(Clone, Copy, Debug)]
struct Entry {
    service: usize,
    index: usize,
    method: &'static Method,
}

impl Services {
    pub(crate) fn new(services: Vec<Arc<dyn Service>>) -> Result<Self, BuildError> {
        let mut methods: HashMap<u32, Entry> = HashMap::new();
        let entries = services.iter().enumerate().flat_map(|(service, each)| {
            let methods = each.methods().iter().enumerate();
            methods.map(move |(index, method)| Entry {
                service,
                index,
                method,
            })
        });
        for entry in entries {
            if let Some(other) = methods.insert(entry.method.id(), entry) {
                let (first, second) = (other.method.path(), entry.method.path());
                return Err(BuildError::Collision { first, second });
            }
        }
        Ok(Self { services, methods })
    }

    /// The service, the index and the method for an id.
    pub(crate) fn find(&self, id: u32) -> Option<(&dyn Service, usize, &'static Method)> {
        let entry = self.methods.get(&id)?;
        let service = self.services.get(entry.service)?;
        Some((&**service, entry.index, entry.method))
    }

    /// What is said about them in the handshake.
    pub(crate) fn infos(&self) -> Vec<ServiceInfo> {
        let info = |s: &Arc<dyn Service>| ServiceInfo {
            name: s.name().into(),
            schema: s.schema(),
        };
        self.services.iter().map(info).collect()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.services.iter().map(|service| service.name()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static [Method]);

    impl Service for One {
        fn name(&self) -> &'static str {
            "test.One"
        }
        fn methods(&self) -> &'static [Method] {
            self.0
        }
        fn schema(&self) -> u64 {
            0
        }
        fn call(&self, _: usize, incoming: Incoming) -> Handling {
            incoming.unimplemented()
        }
    }

    #[test]
    fn two_methods_with_one_id_are_refused_by_name() {
        static A: [Method; 1] = [Method::new("test.One/Get", Shape::Unary)];
        let services: Vec<Arc<dyn Service>> = vec![Arc::new(One(&A)), Arc::new(One(&A))];
        let refused = Services::new(services).unwrap_err();
        let text = "methods test.One/Get and test.One/Get have the same id; rename one";
        assert_eq!(refused.to_string(), text);
    }
}
