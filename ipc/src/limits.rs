//! Every bound this crate keeps, its default, and what it protects.

use std::time::Duration;

/// Bounds on size, count and time for one server or client.
///
/// Nothing that a peer can make grow is left out of this list but what the protocol bounds itself: the frames of a
/// handshake, control frames that wait for who does not read, and the length of a metadata key. Of the first six
/// all but `max_assembling` are announced to the peer in the handshake; the rest are kept locally.
///
/// ```
/// let mut limits = ipc::Limits::default();
/// limits.max_calls = 32;
/// limits.drain = std::time::Duration::from_secs(3);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest frame payload accepted, in bytes. Default 131072: a message of 64 KiB is one frame,
    /// and a small call waits for no longer than the chunk of a large one takes.
    pub max_frame: u32,
    /// Largest message accepted, in bytes, over all its chunks. Default 4194304: bounds
    /// what one call can make us hold unread beyond `initial_credit`; all calls of a connection
    /// can do so at once, so choose it together with `max_calls`.
    pub max_message: u32,
    /// Calls the peer may have open at once. Default 256: bounds handlers and unsent answers.
    pub max_calls: u32,
    /// Messages larger than `initial_credit` that are taken in at once on one connection.
    /// Default 4: bounds what many unfinished messages make us hold; the others wait for
    /// credit. Those that are complete and unread do not count: they must not stop others. Smaller
    /// ones in several chunks count only while there is room for them.
    pub max_assembling: u32,
    /// Bytes of one stream the peer may send ahead of its reader. Default 1048576: bounds
    /// each stream's queue; half of it is more than a socket holds, so that a reader that keeps up
    /// never stops its sender.
    pub initial_credit: u32,
    /// Metadata accepted with one call or answer, in bytes, of which each entry takes 32
    /// beyond its key and value. Default 8192: bounds what is kept before a method is looked
    /// up, also of many small entries.
    pub max_metadata: u32,
    /// Time from accept or connect to the end of the handshake. Default 5 s: a silent
    /// or dribbling peer is dropped.
    pub handshake: Duration,
    /// Time from the first byte of a frame to its last, and from a complete single request to
    /// the end of its caller's direction. Default 10 s: a length prefix bounds bytes, this
    /// bounds time. Between the calls of a blocking client, which does not read then, it stands
    /// still; a frame that is found waiting when it has passed has as much time again, once.
    pub frame: Duration,
    /// Time a write may wait for a peer that does not read, and in all a single answer for
    /// credit and for its turn at the socket. Default 30 s: bounds how long a stopped peer holds memory.
    pub write: Duration,
    /// Longest deadline granted to an incoming call; a longer one is cut to it.
    /// Default 86400 s: a wire value never reaches clock arithmetic unchecked.
    pub max_deadline: Duration,
    /// Time for calls to finish after a stop was asked for, and for one-way calls after their
    /// caller has left. Default 10 s: half of launchd's 20 s between SIGTERM and SIGKILL.
    pub drain: Duration,
    /// Time that a connection looks at its socket before its task sleeps, 1 ms at most, while
    /// that has found something lately and no other connection that polls is read for on the same
    /// thread; nothing else runs there meanwhile. Default none: it pays only where the peer answers from
    /// another core within that time. Choose longer than it takes to wake a peer that sleeps, 20 µs on some
    /// machines, or two that look may miss each other for long. 50 µs is what Linux recommends where it
    /// polls a network device itself (`net.core.busy_read`, `Documentation/admin-guide/sysctl/net.rst`).
    pub busy_poll: Option<Duration>,
    /// Bytes queued for a peer before streams and one-way calls wait. Default 262144: bounds
    /// the output buffer of a connection; unary calls are bounded by the peer's `max_calls`; as
    /// many again that were given up may wait beside them, or 32.
    pub outbox: u32,
    /// Bytes of large message buffers kept for reuse over all connections of a server
    /// or client. Default 8388608: fresh pages, not copies, are what makes large messages slow.
    pub pooled: u32,
    /// Connections a server holds at once. Default 4096: bounds descriptors and memory. A
    /// sixteenth of them, where there are as many, is kept for root and for the server's own user.
    pub max_connections: u32,
    /// Connections of one uid a server holds at once. Default 1024: one user cannot shut out
    /// the others. In force is three quarters of `max_connections` where that is less, except for
    /// root and the server's own user; [`Policy::any_user`](crate::Policy::any_user) tells of users
    /// with many uids.
    pub max_connections_per_user: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 131_072,
            max_message: 4_194_304,
            max_calls: 256,
            max_assembling: 4,
            initial_credit: 1_048_576,
            max_metadata: 8_192,
            handshake: Duration::from_secs(5),
            frame: Duration::from_secs(10),
            write: Duration::from_secs(30),
            max_deadline: Duration::from_secs(86_400),
            drain: Duration::from_secs(10),
            busy_poll: None,
            outbox: 262_144,
            pooled: 8_388_608,
            max_connections: 4_096,
            max_connections_per_user: 1_024,
        }
    }
}

impl Limits {
    /// Checks that each limit is in its range. Those that are announced keep to
    /// PROTOCOL.md#limits; `max_metadata` and `max_calls`, which the wire leaves open, have
    /// bounds of our own.
    pub(crate) fn validate(&self) -> Result<(), InvalidLimit> {
        let floor = MIN_WIRE_LIMIT;
        for (name, value, min, max) in [
            ("max_frame", self.max_frame, floor, MAX_FRAME),
            ("max_message", self.max_message, floor, MAX_MESSAGE),
            ("initial_credit", self.initial_credit, floor, MAX_MESSAGE),
            ("max_metadata", self.max_metadata, 0, floor * 64),
            ("outbox", self.outbox, floor, MAX_MESSAGE),
            ("max_calls", self.max_calls, 0, 1 << 20),
            ("max_connections", self.max_connections, 1, u32::MAX),
            (
                "max_connections_per_user",
                self.max_connections_per_user,
                1,
                u32::MAX,
            ),
        ] {
            if value < min || value > max {
                return Err(InvalidLimit {
                    name,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }
}

/// A limit outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} is {value}, must be from {min} to {max}")]
pub struct InvalidLimit {
    name: &'static str,
    value: u32,
    min: u32,
    max: u32,
}

/// Smallest value a peer may announce for a byte limit (PROTOCOL.md#limits).
pub(crate) const MIN_WIRE_LIMIT: u32 = 1_024;
/// Largest frame payload version 1 allows (PROTOCOL.md#limits).
pub(crate) const MAX_FRAME: u32 = 16 << 20;
/// Largest message version 1 allows: half of what a `u32` credit can count.
pub(crate) const MAX_MESSAGE: u32 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Limits::default().validate(), Ok(()));
    }

    #[test]
    fn a_limit_outside_its_range_is_named() {
        let limits = Limits {
            max_frame: 10,
            ..Limits::default()
        };
        let text = limits.validate().unwrap_err().to_string();
        assert_eq!(text, "limit max_frame is 10, must be from 1024 to 16777216");
    }

    #[test]
    fn a_server_that_could_admit_nobody_is_misconfigured() {
        let limits = Limits {
            max_connections_per_user: 0,
            ..Limits::default()
        };
        let text = limits.validate().unwrap_err().to_string();
        assert!(text.starts_with("limit max_connections_per_user is 0"));
    }
}
