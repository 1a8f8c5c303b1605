//! Log lines that a peer can cause: few, and they say how many were left out.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::clock::now;
use crate::method::Method;
use crate::peer::Peer;
use crate::sync::{Mutex, PoisonError};

/// Lets one line a second through.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Quiet>);

#[derive(Debug, Default)]
struct Quiet {
    logged: Option<Instant>,
    others: u64,
}

impl Seldom {
    /// Counts one; returns how many went by quietly if this one is to be logged.
    pub(crate) fn count(&self, now: Instant) -> Option<u64> {
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |logged| now.saturating_duration_since(logged) < Duration::from_secs(1);
        if quiet.logged.is_some_and(recent) {
            quiet.others = quiet.others.saturating_add(1);
            return None;
        }
        quiet.logged = Some(now);
        Some(std::mem::take(&mut quiet.others))
    }
}

/// What goes wrong in the calls of peers; shared by all connections of a server, because a peer
/// may come back on another.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    denied: Seldom,
    panicked: Seldom,
}

impl Complaints {
    /// A peer called a method that is not open to it.
    pub(crate) fn denied(&self, method: &Method, peer: &Peer) {
        let (rpc, uid) = (method.path(), peer.uid());
        match self.denied.count(now()) {
            Some(others) => {
                warn!(rpc.method = rpc, peer.uid = uid, others, "access denied");
            }
            None => debug!(rpc.method = rpc, peer.uid = uid, "access denied"),
        }
    }

    /// The handler of a call panicked.
    pub(crate) fn panicked(&self, method: &Method, peer: &Peer) {
        let (rpc, uid) = (method.path(), peer.uid());
        match self.panicked.count(now()) {
            Some(others) => {
                warn!(rpc.method = rpc, peer.uid = uid, others, "handler panicked");
            }
            None => debug!(rpc.method = rpc, peer.uid = uid, "handler panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write as _};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;
    use crate::client::Client;
    use crate::conn::io::{Reader, Writer};
    use crate::conn::memory::{MemoryEnd, Split, stream};
    use crate::error::Error;
    use crate::handshake;
    use crate::incoming::{Handling, Incoming};
    use crate::limits::Limits;
    use crate::link::Link;
    use crate::method::{Access, Shape};
    use crate::policy::{Admitted, Policy};
    use crate::service::Scripted;
    use crate::sync::Arc;
    use crate::wire::Side;

    static METHODS: [Method; 2] = [
        Method::new("test.Scripted/OnlyRoot", Shape::Unary).access(Access::Root),
        Method::new("test.Scripted/Panic", Shape::Unary),
    ];

    fn panics(incoming: Incoming) -> Handling {
        incoming.unary(async |_: crate::Call<()>| -> Result<(), _> { panic!("as it must") })
    }

    /// The lines that an operator would see.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, about: &Metadata<'_>) -> bool {
            *about.level() <= Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    impl Log {
        /// How many lines, and what the last one says of a field.
        fn last(&self, field: &str) -> (usize, String) {
            let lines = self.0.lock().unwrap();
            let words = lines.last().map_or("", |line| line.as_str()).split(' ');
            let said = words.filter_map(|word| word.split_once('='));
            let said = said.filter(|(name, _)| *name == field);
            (lines.len(), said.map(|(_, value)| value).collect())
        }
    }

    fn admitted(uid: u32) -> Admitted {
        let policy = Policy::any_user().resolve().unwrap();
        policy.check(Peer::invented(uid, 7, &[])).unwrap()
    }

    /// A client of `server`, to which it is a user without rights; the other end lives as long.
    async fn client(server: &Link) -> (Client, Client) {
        let halves = |end: MemoryEnd| {
            let end = Arc::new(end);
            (Reader::Memory(Arc::clone(&end)), Writer::Memory(end))
        };
        let (near, far) = stream(Split::Whole);
        let (near, far) = (halves(near), halves(far));
        let client = Link::new(Side::Connecting, Vec::new(), Limits::default()).unwrap();
        let (ours, theirs) = tokio::join!(
            handshake::connect(&near.0, &near.1, &client.local, || Ok(())),
            handshake::accept(&far.0, &far.1, &server.local, [7; 16]),
        );
        let ours = client.start(admitted(1), near, ours.unwrap().1);
        let theirs = server.start(admitted(12_345), far, theirs.unwrap());
        (Client::owning(ours, None), Client::owning(theirs, None))
    }

    /// Makes so many calls that fail, on a connection of their own.
    async fn annoys(server: &Link, method: &'static Method, times: usize) {
        let (client, _far) = client(server).await;
        for _ in 0..times {
            let answer: Result<(), Error> = client.unary(method, ()).await;
            answer.unwrap_err();
        }
    }

    #[test]
    fn one_line_a_second_goes_through_and_tells_the_number_of_the_others() {
        let start = now();
        let at = |millis| start + Duration::from_millis(millis);
        let seldom = Seldom::default();
        let logged = [0, 1, 999, 1_000, 1_500, 2_000].map(|millis| seldom.count(at(millis)));
        assert_eq!(logged, [Some(0), None, None, Some(2), None, Some(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_let_in_cannot_fill_the_log() {
        let log = Log::default();
        // While there is only one, a line's first thread decides for all whether it is wanted.
        let _second = tracing::Dispatch::new(Log::default());
        let _guard = tracing::subscriber::set_default(log.clone());
        let server = Link::new(
            Side::Accepting,
            vec![Arc::new(Scripted(&METHODS, panics))],
            Limits::default(),
        )
        .unwrap();
        for (lines, method) in [(1, &METHODS[0]), (3, &METHODS[1])] {
            annoys(&server, method, 50).await;
            annoys(&server, method, 50).await;
            assert_eq!(log.last("others"), (lines, "0".into()));
            tokio::time::advance(Duration::from_secs(1)).await;
            annoys(&server, method, 1).await;
            assert_eq!(log.last("others"), (lines + 1, "99".into()));
            assert_eq!(log.last("peer.uid").1, "12345");
            assert_eq!(log.last("rpc.method").1, format!("{:?}", method.path()));
        }
    }
}
