//! One struct per step; each step consumes the last.
//!
//! ```text
//! connecting side            accepting side
//! Connecting  --preface, HELLO-->  Accepting
//!             <--preface, WELCOME--  Greeted
//! Welcomed    --CONFIRM-->           AwaitConfirm
//! Established                        Established
//! ```

use bytes::{Buf, Bytes, BytesMut};

use super::decoder::Decoder;
use super::frame::{Frame, Head, put_message};
use super::header::{HEADER_LEN, Kind};
use super::messages::{Confirm, GoAway, Hello, PeerLimits, ServiceInfo, Welcome, cut};
use super::violation::Violation;
use crate::limits::{Limits, MAX_FRAME, MAX_MESSAGE, MIN_WIRE_LIMIT};

/// The first bytes of each direction; the two after it are the major version.
const MAGIC: [u8; 6] = [0x8d, b'I', b'P', b'C', 0x0d, 0x0a];
/// The major version this code speaks.
const MAJOR: u16 = 1;
/// The highest minor version this code speaks.
const MINOR: u32 = 0;
/// Bytes of the preface.
const PREFACE_LEN: usize = 8;
/// Largest payload of a handshake frame.
const MAX_HANDSHAKE_FRAME: u32 = 16_384;
/// Bytes in which the GOAWAY of a peer that takes nothing more is looked for.
const PARTING: usize = 65_536;
/// Bytes of a nonce and of a session name.
const NONCE_LEN: usize = 16;

/// What one side says about itself.
#[derive(Clone, Debug, Default)]
pub struct Local {
    /// What it accepts.
    pub limits: Limits,
    /// What it serves.
    pub services: Vec<ServiceInfo>,
    /// Its name and version, for the peer's logs.
    pub software: String,
}

impl Local {
    /// Whether all that is said of this side fits a handshake frame.
    #[must_use]
    pub fn fits(&self) -> bool {
        let (_, hello) = Connecting::start(self);
        let (_, welcome) = Greeted {
            hello: Hello::default(),
            limits: PeerLimits::from(&self.limits),
        }
        .welcome(self, [0; NONCE_LEN], [0; NONCE_LEN]);
        let frames = PREFACE_LEN.saturating_add(HEADER_LEN);
        let max = usize::try_from(MAX_HANDSHAKE_FRAME).unwrap_or(usize::MAX);
        hello.len().max(welcome.len()) <= max.saturating_add(frames)
    }
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The peer turned us away.
    #[error("the peer turned the connection away with code {}: {:?}", .0.code, .0.message)]
    GoAway(GoAway),
}

/// What a step made of the bytes so far.
#[derive(Debug)]
pub enum Progress<Step, Next> {
    /// More bytes are needed.
    Wait(Step),
    /// The step is done.
    Next(Next),
}

/// What both sides know at the end.
#[derive(Clone, Debug, Default)]
pub struct Established {
    /// What the peer accepts.
    pub limits: PeerLimits,
    /// What the peer serves.
    pub services: Vec<ServiceInfo>,
    /// The peer's name and version, for logs only.
    pub software: String,
    /// The minor version in force.
    pub minor: u32,
    /// This run of the accepting process.
    pub session: Bytes,
}

/// The connecting side, waiting for WELCOME.
#[derive(Debug)]
pub struct Connecting {
    prefaced: bool,
}

impl Connecting {
    /// Starts; the bytes go to the peer.
    #[must_use]
    pub fn start(local: &Local) -> (Self, BytesMut) {
        let mut out = preface();
        let hello = Hello {
            minor: MINOR,
            limits: Some(PeerLimits::from(&local.limits)),
            services: local.services.clone(),
            software: local.software.clone(),
        };
        put_message(&mut out, Head::connection(Kind::Hello), &hello);
        (Self { prefaced: false }, out)
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the connection must be closed.
    pub fn handle_input(
        mut self,
        buffer: &mut BytesMut,
    ) -> Result<Progress<Self, Welcomed>, Failure> {
        self.prefaced = self.prefaced || take_preface(buffer)?;
        if !self.prefaced {
            return Ok(Progress::Wait(self));
        }
        match take_frame(buffer)? {
            None => Ok(Progress::Wait(self)),
            Some(Frame::Welcome(welcome)) => Ok(Progress::Next(Welcomed::new(welcome)?)),
            Some(_) => Err(Violation::UnexpectedFrame.into()),
        }
    }
}

/// The connecting side, with WELCOME in hand: the moment to decide on trust.
#[derive(Debug)]
pub struct Welcomed {
    nonce: Bytes,
    established: Established,
}

impl Welcomed {
    fn new(welcome: Welcome) -> Result<Self, Violation> {
        if welcome.nonce.len() != NONCE_LEN || welcome.session.len() != NONCE_LEN {
            return Err(Violation::Malformed);
        }
        let established = Established {
            limits: check(welcome.limits)?,
            services: welcome.services,
            software: welcome.software,
            minor: in_force(welcome.minor),
            session: welcome.session,
        };
        Ok(Self {
            nonce: welcome.nonce,
            established,
        })
    }

    /// Returns the nonce; calls may follow right behind these bytes.
    #[must_use]
    pub fn confirm(self) -> (Established, BytesMut) {
        let mut out = BytesMut::new();
        put_message(
            &mut out,
            Head::connection(Kind::Confirm),
            &Confirm { nonce: self.nonce },
        );
        (self.established, out)
    }
}

/// The accepting side, waiting for HELLO.
#[derive(Debug, Default)]
pub struct Accepting {
    prefaced: bool,
}

impl Accepting {
    /// Takes what has arrived.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the connection must be closed.
    pub fn handle_input(
        mut self,
        buffer: &mut BytesMut,
    ) -> Result<Progress<Self, Greeted>, Failure> {
        self.prefaced = self.prefaced || take_preface(buffer)?;
        if !self.prefaced {
            return Ok(Progress::Wait(self));
        }
        match take_frame(buffer)? {
            None => Ok(Progress::Wait(self)),
            Some(Frame::Hello(hello)) => {
                let limits = check(hello.limits)?;
                Ok(Progress::Next(Greeted { hello, limits }))
            }
            Some(_) => Err(Violation::UnexpectedFrame.into()),
        }
    }
}

/// The accepting side, with HELLO in hand.
#[derive(Debug)]
pub struct Greeted {
    hello: Hello,
    limits: PeerLimits,
}

impl Greeted {
    /// Answers; `session` names this run of the process, `nonce` is fresh and random.
    #[must_use]
    pub fn welcome(
        self,
        local: &Local,
        session: [u8; NONCE_LEN],
        nonce: [u8; NONCE_LEN],
    ) -> (AwaitConfirm, BytesMut) {
        let mut out = preface();
        let minor = in_force(self.hello.minor);
        let session = Bytes::copy_from_slice(&session);
        let welcome = Welcome {
            minor,
            limits: Some(PeerLimits::from(&local.limits)),
            services: local.services.clone(),
            software: local.software.clone(),
            session: session.clone(),
            nonce: Bytes::copy_from_slice(&nonce),
        };
        put_message(&mut out, Head::connection(Kind::Welcome), &welcome);
        let established = Established {
            limits: self.limits,
            services: self.hello.services,
            software: self.hello.software,
            minor,
            session,
        };
        (AwaitConfirm { nonce, established }, out)
    }
}

/// The accepting side, waiting for the nonce to come back.
#[derive(Debug)]
pub struct AwaitConfirm {
    nonce: [u8; NONCE_LEN],
    established: Established,
}

impl AwaitConfirm {
    /// Takes what has arrived; bytes behind CONFIRM stay in the buffer.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the connection must be closed.
    pub fn handle_input(
        self,
        buffer: &mut BytesMut,
    ) -> Result<Progress<Self, Established>, Failure> {
        match take_frame(buffer)? {
            None => Ok(Progress::Wait(self)),
            Some(Frame::Confirm(confirm)) if confirm.nonce[..] == self.nonce => {
                Ok(Progress::Next(self.established))
            }
            Some(Frame::Confirm(_)) => Err(Violation::BadNonce.into()),
            Some(_) => Err(Violation::UnexpectedFrame.into()),
        }
    }
}

/// A preface and a GOAWAY, for a peer that is turned away; without the preface if
/// it was sent already.
#[must_use]
pub fn turn_away(prefaced: bool, code: u32, message: &str) -> BytesMut {
    let mut out = if prefaced { BytesMut::new() } else { preface() };
    let away = GoAway {
        code,
        message: cut(message).into(),
        last_call: 0,
    };
    put_message(&mut out, Head::connection(Kind::GoAway), &away);
    out
}

/// The connecting side, whose CONFIRM was not taken: the peer may have said why.
#[derive(Debug)]
pub struct Parting {
    left: usize,
}

impl Default for Parting {
    fn default() -> Self {
        Self { left: PARTING }
    }
}

impl Parting {
    /// Takes what has arrived; the end is GOAWAY, or that none is to be expected any more.
    pub fn handle_input(self, buffer: &mut BytesMut) -> Progress<Self, Option<GoAway>> {
        let before = buffer.len();
        let said = loop {
            match take_frame(buffer) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(Failure::GoAway(away)) => break Some(away),
                Err(Failure::Violation(_)) => return Progress::Next(None),
            }
        };
        let taken = before.saturating_sub(buffer.len());
        match self.left.checked_sub(taken) {
            Some(left) if said.is_none() => Progress::Wait(Self { left }),
            _ => Progress::Next(said),
        }
    }
}

fn preface() -> BytesMut {
    let mut out = BytesMut::from(&MAGIC[..]);
    out.extend_from_slice(&MAJOR.to_le_bytes());
    out
}

/// Takes the preface off; `false` means more bytes are needed. A wrong byte is
/// refused as soon as it is there.
fn take_preface(buffer: &mut BytesMut) -> Result<bool, Violation> {
    let start = buffer.iter().zip(&MAGIC);
    if start.into_iter().any(|(have, want)| have != want) {
        return Err(Violation::BadPreface);
    }
    let Some(&[.., low, high]) = buffer.first_chunk::<PREFACE_LEN>() else {
        return Ok(false);
    };
    let theirs = u16::from_le_bytes([low, high]);
    if theirs != MAJOR {
        return Err(Violation::VersionMismatch {
            theirs,
            ours: MAJOR,
        });
    }
    buffer.advance(PREFACE_LEN);
    Ok(true)
}

/// Takes the next frame that this version knows; GOAWAY ends any handshake.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, Failure> {
    let decoder = Decoder::new(MAX_HANDSHAKE_FRAME);
    while let Some(raw) = decoder.decode(buffer)? {
        match Frame::parse(raw)? {
            Frame::Unknown => {}
            Frame::GoAway(away) => return Err(Failure::GoAway(away)),
            frame => return Ok(Some(frame)),
        }
    }
    Ok(None)
}

#[expect(
    clippy::unnecessary_min_or_max,
    reason = "MINOR is 0 until there is a first minor version"
)]
fn in_force(theirs: u32) -> u32 {
    theirs.min(MINOR)
}

/// Checks what the peer announced (PROTOCOL.md#limits).
fn check(limits: Option<PeerLimits>) -> Result<PeerLimits, Violation> {
    let limits = limits.ok_or(Violation::InvalidLimits)?;
    let valid = (MIN_WIRE_LIMIT..=MAX_FRAME).contains(&limits.max_frame)
        && (MIN_WIRE_LIMIT..=MAX_MESSAGE).contains(&limits.max_message)
        && (MIN_WIRE_LIMIT..=MAX_MESSAGE).contains(&limits.initial_credit);
    if valid {
        Ok(limits)
    } else {
        Err(Violation::InvalidLimits)
    }
}
