//! Drives the handshake of [`crate::wire`] over a socket, under one deadline.

use std::future::poll_fn;
use std::io;
use std::time::Instant;

use bytes::{Buf, BytesMut};

use crate::clock::{end_of, now};
use crate::conn::io::{Read, Reader, Writer};
use crate::error::{ConnectionError, HandshakeError};
use crate::sync::Arc;
use crate::timer::before;
use crate::wire::messages::GoAway;
use crate::wire::{
    Accepting, Connecting, Established, Failure, GoAwayCode, Local, Parting, Progress, Violation,
    turn_away,
};

/// What a handshake leaves: the terms, and bytes that came behind it.
pub(crate) type Shaken = (Established, BytesMut);

/// The connecting side; `trust` decides when the server has shown its first bytes, because
/// only then does the kernel know who holds the other end.
pub(crate) async fn connect<A>(
    reader: &Reader,
    writer: &Writer,
    local: &Local,
    trust: impl FnOnce() -> Result<A, HandshakeError>,
) -> Result<(A, Shaken), HandshakeError> {
    let deadline = end_of(now(), local.limits.handshake);
    let mut input = BytesMut::new();
    let (mut step, hello) = Connecting::start(local);
    // A server that turns us away may have closed before it read this; what it said is
    // still to be read then.
    let sent = within(deadline, write(writer, hello)).await?;
    let welcomed = loop {
        match step.handle_input(&mut input) {
            Ok(Progress::Next(next)) => break next,
            Ok(Progress::Wait(wait)) => step = wait,
            Err(failure) => return Err(give_up(writer, &failure, true)),
        }
        if let Err(closed) = read_by(deadline, reader, &mut input).await {
            return Err(ended(writer, &closed, sent.err()));
        }
    };
    let admitted = trust().inspect_err(|_| {
        say(
            writer,
            &turn_away(true, GoAwayCode::UNTRUSTED, "server is not trusted"),
        );
    })?;
    let (established, confirm) = welcomed.confirm();
    if let Err(broken) = within(deadline, write(writer, confirm)).await? {
        let said = last_words(deadline, reader, &mut input).await;
        return Err(said.map_or(HandshakeError::Lost(broken), |away| turned_away(&away)));
    }
    Ok((admitted, (established, input)))
}

/// What a server has said that takes nothing more, which may be much.
async fn last_words(deadline: Instant, reader: &Reader, input: &mut BytesMut) -> Option<GoAway> {
    let mut step = Parting::default();
    loop {
        match step.handle_input(input) {
            Progress::Next(said) => return said,
            Progress::Wait(wait) => step = wait,
        }
        read_by(deadline, reader, input).await.ok()?;
    }
}

/// What the end of the input means to the connecting side, which may have failed to write.
pub(crate) fn ended(
    writer: &Writer,
    closed: &ConnectionError,
    unsent: Option<ConnectionError>,
) -> HandshakeError {
    match closed {
        ConnectionError::Violation(violation) => {
            give_up(writer, &Failure::Violation(*violation), true)
        }
        other => HandshakeError::Lost(unsent.unwrap_or_else(|| other.clone())),
    }
}

/// The accepting side; the policy has admitted the peer before.
pub(crate) async fn accept(
    reader: &Reader,
    writer: &Writer,
    local: &Local,
    session: [u8; 16],
) -> Result<Shaken, HandshakeError> {
    let deadline = end_of(now(), local.limits.handshake);
    let mut input = BytesMut::new();
    let mut step = Accepting::default();
    let greeted = loop {
        match step.handle_input(&mut input) {
            Ok(Progress::Next(next)) => break next,
            Ok(Progress::Wait(wait)) => step = wait,
            Err(failure) => return Err(give_up(writer, &failure, false)),
        }
        more(deadline, reader, writer, &mut input, false).await?;
    };
    let nonce = crate::sys::random().map_err(lost)?;
    let (mut step, welcome) = greeted.welcome(local, session, nonce);
    within(deadline, write(writer, welcome))
        .await?
        .map_err(HandshakeError::Lost)?;
    loop {
        match step.handle_input(&mut input) {
            Ok(Progress::Next(established)) => return Ok((established, input)),
            Ok(Progress::Wait(wait)) => step = wait,
            Err(failure) => return Err(give_up(writer, &failure, true)),
        }
        more(deadline, reader, writer, &mut input, true).await?;
    }
}

/// Writes what there is room for, and does not wait: a farewell is a courtesy.
pub(crate) fn say(writer: &Writer, bytes: &[u8]) {
    if let Err(error) = writer.send(bytes) {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "farewell not sent"
        );
    }
}

/// Reads more of the connecting side's part; tells it what is wrong with that.
async fn more(
    deadline: Instant,
    reader: &Reader,
    writer: &Writer,
    input: &mut BytesMut,
    prefaced: bool,
) -> Result<(), HandshakeError> {
    let read = read_by(deadline, reader, input).await;
    read.map_err(|error| match error {
        ConnectionError::Violation(violation) => {
            give_up(writer, &Failure::Violation(violation), prefaced)
        }
        other => HandshakeError::Lost(other),
    })
}

async fn read_by(
    deadline: Instant,
    reader: &Reader,
    input: &mut BytesMut,
) -> Result<(), ConnectionError> {
    // What keeps coming is read without a wait, in which the deadline would be noticed.
    if now() >= deadline {
        return Err(Violation::HandshakeTimeout.into());
    }
    let read = before(deadline, read(reader, input)).await;
    read.unwrap_or_else(|| Err(Violation::HandshakeTimeout.into()))
}

/// A write that must end in time; a peer that takes nothing can be told nothing.
async fn within<T>(deadline: Instant, step: impl Future<Output = T>) -> Result<T, HandshakeError> {
    before(deadline, step).await.ok_or(HandshakeError::TimedOut)
}

async fn read(reader: &Reader, input: &mut BytesMut) -> Result<(), ConnectionError> {
    input.reserve(1024);
    let read = poll_fn(|cx| reader.poll_read(cx, |reader| reader.try_first(input))).await?;
    heard(read, input)
}

/// What a read means in the middle of a handshake.
pub(crate) fn heard(read: Read, input: &BytesMut) -> Result<(), ConnectionError> {
    match read {
        Read::Eof if input.is_empty() => Err(ConnectionError::Closed),
        Read::Eof => Err(Violation::Truncated.into()),
        Read::Descriptors => Err(Violation::Descriptors.into()),
        Read::More | Read::Drained | Read::Empty => Ok(()),
    }
}

async fn write(writer: &Writer, mut bytes: BytesMut) -> Result<(), ConnectionError> {
    while bytes.has_remaining() {
        match writer.send(&bytes) {
            Ok(sent) => bytes.advance(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let writable = writer.writable()?;
                poll_fn(|cx| writable.poll(cx)).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tells the peer what it did wrong, and the caller what it means.
pub(crate) fn give_up(writer: &Writer, failure: &Failure, prefaced: bool) -> HandshakeError {
    match failure {
        Failure::Violation(violation) => {
            say(
                writer,
                &turn_away(prefaced, violation.code(), &violation.to_string()),
            );
            match *violation {
                Violation::VersionMismatch { theirs, ours } => {
                    HandshakeError::Version { theirs, ours }
                }
                Violation::HandshakeTimeout => HandshakeError::TimedOut,
                other => HandshakeError::Lost(other.into()),
            }
        }
        Failure::GoAway(away) => turned_away(away),
    }
}

pub(crate) fn turned_away(away: &GoAway) -> HandshakeError {
    let message = away.message.clone();
    match away.code {
        GoAwayCode::REFUSED => HandshakeError::Refused(message),
        GoAwayCode::OVERLOADED => HandshakeError::Overloaded(message),
        code => HandshakeError::Lost(ConnectionError::GoneAway { code, message }),
    }
}

fn lost(error: io::Error) -> HandshakeError {
    HandshakeError::Lost(ConnectionError::Io(Arc::new(error)))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::IoSlice;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::time::Duration;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;
    use crate::conn::io::open;
    use crate::wire::Greeted;

    /// What a server has said that closed before it read anything.
    pub(crate) fn said() -> BytesMut {
        let local = Local::default();
        let (_, mut hello) = Connecting::start(&local);
        let greeted: Greeted = match Accepting::default().handle_input(&mut hello) {
            Ok(Progress::Next(greeted)) => greeted,
            other => panic!("{other:?}"),
        };
        let (_, mut out) = greeted.welcome(&local, [1; 16], [2; 16]);
        out.unsplit(turn_away(true, 17, "too slow"));
        out
    }

    #[tokio::test]
    async fn bytes_that_keep_coming_do_not_put_the_deadline_off() {
        // [TMO-1]
        let (near, far) = crate::sys::socket_pair().unwrap();
        crate::sys::send(far.as_fd(), b"more").unwrap();
        let (reader, _writer) = open(Arc::new(near)).unwrap();
        let mut input = BytesMut::new();
        let late = read_by(now(), &reader, &mut input).await;
        let timeout = ConnectionError::Violation(Violation::HandshakeTimeout);
        assert_eq!(late.unwrap_err().to_string(), timeout.to_string());
        let soon = end_of(now(), Duration::from_secs(20));
        read_by(soon, &reader, &mut input).await.unwrap();
        assert_eq!(input, "more");
    }

    /// Connected sockets; descriptors were sent from the second to the first, with some bytes.
    pub(crate) fn given_descriptors(bytes: &[u8]) -> (OwnedFd, OwnedFd) {
        let (near, far) = crate::sys::socket_pair().unwrap();
        let fds = [far.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let parts = [IoSlice::new(bytes)];
        let sent = sendmsg::<()>(far.as_raw_fd(), &parts, &rights, MsgFlags::empty(), None);
        assert_eq!(sent, Ok(bytes.len()));
        (near, far)
    }

    #[tokio::test]
    async fn descriptors_that_were_sent_before_the_kernel_refuses_them_are_found() {
        // [TRN-3]
        let local = Local::default();
        for bytes in [&said()[..], &[0; 4]] {
            let (near, _far) = given_descriptors(bytes);
            let (reader, writer) = open(Arc::new(near)).unwrap();
            let told = connect(&reader, &writer, &local, || Ok(())).await;
            assert_eq!(lost_by(&told.map(drop)), Some(Violation::Descriptors));
            let (near, _far) = given_descriptors(bytes);
            let (reader, writer) = open(Arc::new(near)).unwrap();
            let told = accept(&reader, &writer, &local, [7; 16]).await;
            assert_eq!(lost_by(&told.map(drop)), Some(Violation::Descriptors));
        }
    }

    fn lost_by(result: &Result<(), HandshakeError>) -> Option<Violation> {
        match result {
            Err(HandshakeError::Lost(ConnectionError::Violation(violation))) => Some(*violation),
            _ => None,
        }
    }

    #[tokio::test]
    async fn the_last_words_of_a_server_are_read_although_nothing_can_be_written() {
        // [TRN-6]
        let (near, far) = crate::sys::socket_pair().unwrap();
        let (_reader, writer) = open(Arc::new(far)).unwrap();
        say(&writer, &said());
        writer.close();
        let (reader, writer) = open(Arc::new(near)).unwrap();
        let local = Local::default();
        let told = connect(&reader, &writer, &local, || Ok(())).await;
        match told.unwrap_err() {
            HandshakeError::Lost(ConnectionError::GoneAway { code: 17, message }) => {
                assert_eq!(message, "too slow");
            }
            other => panic!("{other:?}"),
        }
    }
}
