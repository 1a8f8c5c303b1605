//! Method name to handler.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::debug_span;

use crate::conn::{Arrived, Connection, Dispatch};
use crate::error::{BuildError, Error};
use crate::incoming::{Handling, Incoming, Place};
use crate::method::{Access, Method};
use crate::peer::Peer;
use crate::policy::ResolvedAccess;
use crate::status::Status;
use crate::sync::Arc;
use crate::wire::messages::ServiceInfo;

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

/// All services of one side, found by method id.
pub(crate) struct Services {
    services: Vec<Arc<dyn Service>>,
    /// In the order of their ids: a search costs less than a hash, and a server has few.
    methods: Vec<Entry>,
    access: ResolvedAccess,
}

/// One method of a registered service.
#[derive(Clone, Copy, Debug)]
struct Entry {
    service: usize,
    index: usize,
    method: &'static Method,
}

impl Services {
    pub(crate) fn new(services: Vec<Arc<dyn Service>>) -> Result<Self, Error> {
        let entries = services.iter().enumerate().flat_map(|(service, each)| {
            let methods = each.methods().iter().enumerate();
            methods.map(move |(index, method)| Entry {
                service,
                index,
                method,
            })
        });
        let mut methods = entries.collect::<Vec<_>>();
        // Stable, so that of two that collide the one that was added first is named first.
        methods.sort_by_key(|entry| entry.method.id());
        let pairs = methods.iter().zip(methods.iter().skip(1));
        for (one, next) in pairs {
            if one.method.id() == next.method.id() {
                let (first, second) = (one.method.path(), next.method.path());
                return Err(BuildError::Collision { first, second }.into());
            }
        }
        // The user database is not asked for what no method needs.
        let admins = |entry: &Entry| entry.method.required_access() == Access::Admin;
        let access = ResolvedAccess::resolve(methods.iter().any(admins))?;
        Ok(Self {
            services,
            methods,
            access,
        })
    }

    /// The service, the index and the method for an id.
    fn find(&self, id: u32) -> Option<(&dyn Service, usize, &'static Method)> {
        let at = self
            .methods
            .binary_search_by_key(&id, |entry| entry.method.id());
        let entry = self.methods.get(at.ok()?)?;
        let service = self.services.get(entry.service)?;
        Some((&**service, entry.index, entry.method))
    }

    /// Whether a peer may call a method.
    fn admits(&self, peer: &Peer, access: Access) -> bool {
        match access {
            Access::Any => true,
            Access::SameUser => self.access.same_user(peer),
            Access::Admin => self.access.admin(peer),
            Access::Root => self.access.root(peer),
        }
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

impl Dispatch for Services {
    fn run(&self, connection: &Arc<Connection>, arrived: Arrived) {
        let (key, id, wanted) = (arrived.key, arrived.id, arrived.method);
        let deadline = arrived.deadline;
        let incoming = Incoming {
            connection: Arc::clone(connection),
            arrived,
        };
        let Some((service, index, method)) = self.find(wanted) else {
            return incoming.refuse(&Status::unimplemented("no such method"));
        };
        let peer = &connection.peer;
        if !self.admits(peer, method.required_access()) {
            connection.complaints.denied(method, peer);
            return incoming.refuse(&Status::permission_denied("this method is not open to you"));
        }
        let span = debug_span!("call", call.id = id.get(), rpc.method = method.path());
        let _entered = span.enter();
        // Generated code does not panic here, but a service may be written by hand.
        let handling = catch_unwind(AssertUnwindSafe(|| service.call(index, incoming)));
        let Ok(handling) = handling else {
            connection.complaints.panicked(method, peer);
            let status = Status::unknown("the handler panicked");
            return connection.disown(key, id, &status.to_end());
        };
        handling.start(&Place {
            connection,
            key,
            id,
            method,
            deadline,
        });
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.services.iter().map(|service| service.name()))
            .finish()
    }
}

/// A service that does what it is told, for tests.
#[cfg(test)]
pub(crate) struct Scripted<F>(pub(crate) &'static [Method], pub(crate) F);

#[cfg(test)]
impl<F: Fn(Incoming) -> Handling + Send + Sync + 'static> Service for Scripted<F> {
    fn name(&self) -> &'static str {
        "test.Scripted"
    }
    fn methods(&self) -> &'static [Method] {
        self.0
    }
    fn schema(&self) -> u64 {
        0
    }
    fn call(&self, _: usize, incoming: Incoming) -> Handling {
        (self.1)(incoming)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::{Bytes, BytesMut};
    use prost::Message;

    use super::*;
    use crate::call::Call;
    use crate::conn::fixture::{connection, frame};
    use crate::conn::memory::MemoryEnd;
    use crate::limits::Limits;
    use crate::method::Shape;
    use crate::wire::messages::{CallHead, End};
    use crate::wire::{Decoder, Flags, Kind};

    fn service(methods: &'static [Method]) -> Arc<dyn Service> {
        let empty = |incoming: Incoming| incoming.unary(|_: Call<()>| async { Ok(()) });
        Arc::new(Scripted(methods, empty))
    }

    /// How each of these methods is refused to a stranger whose requests do not parse.
    async fn refusals(methods: &'static [Method]) -> Vec<End> {
        let stranger = Peer::invented(4_711, 4_711, &[]);
        let services = Services::new(vec![service(methods)]).unwrap();
        let (_connection, task, far) =
            connection(&stranger, 65_536, Arc::new(services), Limits::default());
        for (method, id) in methods.iter().zip(1..) {
            let head = CallHead {
                method: method.id(),
                body: Some(Bytes::from_static(b"\xff")),
                ..CallHead::default()
            };
            let call = frame(id * 2, Kind::Call, Flags::END, &head.encode_to_vec());
            far.send(&call).unwrap();
        }
        tokio::select! {
            reason = task.run() => panic!("{reason}"),
            ends = ends(&far, methods.len()) => ends,
        }
    }

    /// The first frames that come, each an END.
    async fn ends(far: &MemoryEnd, expected: usize) -> Vec<End> {
        let (mut ends, mut input) = (Vec::new(), BytesMut::new());
        while ends.len() < expected {
            if let Some(raw) = Decoder::new(65_536).decode(&mut input).unwrap() {
                ends.push(End::decode(raw.payload).unwrap());
                continue;
            }
            input.reserve(4_096);
            poll_fn(|cx| far.poll_readable(cx)).await;
            far.try_read(&mut input, usize::MAX);
        }
        ends
    }

    #[tokio::test]
    async fn whether_a_peer_may_call_is_settled_before_its_request_is_read() {
        // [REF-7]
        static METHODS: [Method; 2] = [
            Method::new("test.One/Any", Shape::Unary),
            Method::new("test.One/Root", Shape::Unary).access(Access::Root),
        ];
        let ends = refusals(&METHODS).await;
        let told = ends.iter().map(|end| (end.code, end.unseen));
        assert_eq!(told.collect::<Vec<_>>(), [(13, true), (7, true)]);
    }

    #[test]
    fn two_methods_with_one_id_are_refused_by_name() {
        // [MTH-1]
        static A: [Method; 1] = [Method::new("test.One/Get", Shape::Unary)];
        let services = vec![service(&A), service(&A)];
        let refused = Services::new(services).unwrap_err();
        let source = std::error::Error::source(&refused).unwrap().to_string();
        let text = "methods test.One/Get and test.One/Get have the same id; rename one";
        assert_eq!(source, text);
    }
}
