//! The connecting side's handshake without a runtime.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::link::READ;
use crate::clock::now;
use crate::conn::io::{Writer, receive};
use crate::error::{ConnectionError, HandshakeError};
use crate::handshake::{ended, give_up, heard, say, turned_away};
use crate::link::unidentified;
use crate::peer::Peer;
use crate::policy::ResolvedPolicy;
use crate::sync::Arc;
use crate::sys::{self, Interest};
use crate::wire::messages::GoAway;
use crate::wire::{
    Connecting, Established, GoAwayCode, Local, Parting, Progress, Violation, turn_away,
};

/// A handshake under way.
pub(super) struct Shake {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) input: BytesMut,
    pub(super) deadline: Instant,
}

impl Shake {
    pub(super) fn run(
        &mut self,
        local: &Local,
        trust: &ResolvedPolicy,
    ) -> Result<(Peer, Established), HandshakeError> {
        let writer = Writer::Socket(Arc::clone(&self.socket));
        let (mut step, hello) = Connecting::start(local);
        // A server that turns us away may have closed before it read this.
        let sent = self.write(hello)?;
        let welcomed = loop {
            match step.handle_input(&mut self.input) {
                Ok(Progress::Next(next)) => break next,
                Ok(Progress::Wait(wait)) => step = wait,
                Err(failure) => return Err(give_up(&writer, &failure, true)),
            }
            if let Err(reason) = self.read() {
                return Err(ended(&writer, &reason, sent.err()));
            }
        };
        let peer = Peer::of(&*self.socket).map_err(unidentified)?;
        let admitted = trust.check(peer).map_err(|denied| {
            say(
                &writer,
                &turn_away(true, GoAwayCode::UNTRUSTED, "server is not trusted"),
            );
            HandshakeError::NotTrusted(denied)
        })?;
        let (established, confirm) = welcomed.confirm();
        if let Err(broken) = self.write(confirm)? {
            let said = self.last_words();
            return Err(said.map_or(HandshakeError::Lost(broken), |away| turned_away(&away)));
        }
        Ok((admitted.into_peer(), established))
    }

    /// What a server has said that takes nothing more, which may be much.
    fn last_words(&mut self) -> Option<GoAway> {
        let mut step = Parting::default();
        loop {
            match step.handle_input(&mut self.input) {
                Progress::Next(said) => return said,
                Progress::Wait(wait) => step = wait,
            }
            self.read().ok()?;
        }
    }

    fn write(&self, mut bytes: BytesMut) -> Result<Result<(), ConnectionError>, HandshakeError> {
        while bytes.has_remaining() {
            match sys::send(self.socket.as_fd(), &bytes) {
                Ok(sent) => bytes.advance(sent),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.wait_for_room()?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(()))
    }

    /// A peer that takes nothing in time can be told nothing.
    fn wait_for_room(&self) -> Result<(), HandshakeError> {
        match self.wait(Interest::Write) {
            Ok(true) => Ok(()),
            Ok(false) => Err(HandshakeError::TimedOut),
            Err(error) => Err(HandshakeError::Lost(error.into())),
        }
    }

    fn read(&mut self) -> Result<(), ConnectionError> {
        if !self.wait(Interest::Read)? {
            return Err(Violation::HandshakeTimeout.into());
        }
        self.input.reserve(READ);
        heard(receive(&self.socket, &mut self.input, false)?, &self.input)
    }

    /// Whether there was time to wait.
    fn wait(&self, interest: Interest) -> std::io::Result<bool> {
        let left = self.deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Ok(false);
        }
        sys::poll(self.socket.as_fd(), interest, Some(left)).map(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::scope;
    use std::time::Duration;

    use super::*;
    use crate::handshake::tests::{given_descriptors, said};
    use crate::policy::Policy;
    use crate::sys::socket_pair;

    fn shake(socket: OwnedFd, time: Duration) -> HandshakeError {
        let mut shake = Shake {
            socket: Arc::new(socket),
            input: BytesMut::new(),
            deadline: now() + time,
        };
        let trust = Policy::any_user().resolve().unwrap();
        shake.run(&Local::default(), &trust).unwrap_err()
    }

    /// Fills a socket; says how much it took.
    fn fill(socket: &OwnedFd) -> usize {
        let mut sent = 0;
        while let Ok(more) = sys::send(socket.as_fd(), &[0; 4_096]) {
            sent += more;
        }
        sent
    }

    /// Reads so many bytes.
    fn take(socket: &OwnedFd, len: usize) -> BytesMut {
        let mut input = BytesMut::new();
        while input.len() < len {
            sys::poll(socket.as_fd(), Interest::Read, None).unwrap();
            input.reserve(READ);
            sys::receive(socket.as_fd(), &mut input, false).unwrap();
        }
        input
    }

    #[test]
    fn the_last_words_of_a_server_are_read_although_nothing_can_be_written() {
        // [TRN-6]
        let (near, far) = socket_pair().unwrap();
        let words = said();
        assert_eq!(sys::send(far.as_fd(), &words).unwrap(), words.len());
        drop(far);
        match shake(near, Duration::from_secs(60)) {
            HandshakeError::Lost(ConnectionError::GoneAway { code: 17, message }) => {
                assert_eq!(message, "too slow");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn descriptors_that_were_sent_before_the_kernel_refuses_them_are_found() {
        // [TRN-3]
        let (near, _far) = given_descriptors(&said());
        sys::refuse_descriptors(&near);
        let error = shake(near, Duration::from_secs(60));
        assert!(matches!(
            error,
            HandshakeError::Lost(ConnectionError::Violation(Violation::Descriptors))
        ));
    }

    #[test]
    fn a_server_that_does_not_read_is_an_error_in_time() {
        let (near, _far) = socket_pair().unwrap();
        fill(&near);
        let error = shake(near, Duration::from_millis(20));
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
    }

    #[test]
    fn what_does_not_fit_the_socket_goes_on_when_the_server_reads() {
        let (near, far) = socket_pair().unwrap();
        let (_, hello) = Connecting::start(&Local::default());
        let expected = fill(&near) + hello.len();
        let error = scope(|scope| {
            scope.spawn(|| {
                assert!(take(&far, expected).ends_with(&hello));
                let refusal = turn_away(false, GoAwayCode::REFUSED, "not you");
                sys::send(far.as_fd(), &refusal).unwrap();
            });
            shake(near, Duration::from_secs(60))
        });
        let refused = matches!(&error, HandshakeError::Refused(text) if text == "not you");
        assert!(refused, "{error:?}");
    }
}
