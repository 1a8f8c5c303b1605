//! The connecting side's handshake without a runtime.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::link::READ;
use crate::conn::io::{Read, Writer, receive};
use crate::conn::now;
use crate::error::{ConnectionError, HandshakeError};
use crate::handshake::{ended, give_up, say, turned_away};
use crate::peer::Peer;
use crate::policy::ResolvedPolicy;
use crate::sync::Arc;
use crate::sys::{self, Interest};
use crate::wire::{
    Connecting, Established, GoAwayCode, Local, Progress, Violation, farewell, turn_away,
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
            if let Err(reason) = self.read()? {
                return Err(ended(&writer, &reason, sent.err()));
            }
        };
        let peer = Peer::of(&*self.socket);
        let peer = peer.map_err(|error| HandshakeError::Unidentified(Arc::new(error)))?;
        let admitted = trust.check(peer).map_err(|denied| {
            say(
                &writer,
                &turn_away(true, GoAwayCode::UNTRUSTED, "server is not trusted"),
            );
            HandshakeError::NotTrusted(denied)
        })?;
        let (established, confirm) = welcomed.confirm();
        if let Err(broken) = self.write(confirm)? {
            // It has closed, so that its end is there to be read.
            while self.read()?.is_ok() {}
            let said = farewell(&mut self.input).as_ref().map(turned_away);
            return Err(said.unwrap_or(HandshakeError::Lost(broken)));
        }
        Ok((admitted.into_peer(), established))
    }

    fn write(&self, mut bytes: BytesMut) -> Result<Result<(), ConnectionError>, HandshakeError> {
        while bytes.has_remaining() {
            match sys::send(self.socket.as_fd(), &bytes) {
                Ok(sent) => bytes.advance(sent),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.wait(Interest::Write)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(()))
    }

    fn read(&mut self) -> Result<Result<(), ConnectionError>, HandshakeError> {
        self.wait(Interest::Read)?;
        self.input.reserve(READ);
        Ok(match receive(&self.socket, &mut self.input) {
            Ok(Read::Eof) => Err(ConnectionError::Closed),
            Ok(Read::Descriptors) => Err(Violation::Descriptors.into()),
            Ok(Read::More | Read::Drained | Read::Empty) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }

    fn wait(&self, interest: Interest) -> Result<(), HandshakeError> {
        let left = self.deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(HandshakeError::TimedOut);
        }
        let polled = sys::poll(self.socket.as_fd(), interest, Some(left));
        polled
            .map(drop)
            .map_err(|error| HandshakeError::Lost(error.into()))
    }
}
