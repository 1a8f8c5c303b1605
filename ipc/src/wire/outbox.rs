//! What to write next: control before data, and one chunk of each large message in turn.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use super::body::{Body, COPIED};
use super::call::{CallId, Key};
use super::copy::append;
use super::frame::{Head, put_header, put_message, put_with};
use super::header::{HEADER_LEN, Header, Kind};
use super::messages::GoAway;

/// Frames that wait for the socket, in three ranks.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Frames that pass all others; never one that must follow its own CALL.
    pub(crate) control: BytesMut,
    /// Whole frames in the order they were made.
    data: BytesMut,
    /// The end of the last of them, if it is large: it is not copied unless another follows.
    apart: Bytes,
    /// Calls with chunks to send and credit for them, each getting one turn.
    pub(crate) ring: VecDeque<Key>,
    /// Calls of the peer that are over but have frames in `data`: they count as open
    /// until those are handed over, so that unread answers are bounded.
    pub(crate) finals: u32,
    /// How often `data` was handed over; starts at 1, so that 0 is never.
    pub(crate) handed: u64,
    /// The owner was told to write, and has not since.
    pub(crate) pressed: bool,
    /// All that is still to be written, once the connection is to be closed.
    pub(crate) last: Option<BytesMut>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            control: BytesMut::new(),
            data: BytesMut::new(),
            apart: Bytes::new(),
            ring: VecDeque::new(),
            finals: 0,
            handed: 1,
            pressed: false,
            last: None,
        }
    }

    /// Puts the frame that closes the connection behind those that were made; whatever is
    /// made later, and the large messages, are not written.
    pub(crate) fn close(&mut self, away: &GoAway) {
        let mut last = std::mem::take(&mut self.control);
        last.extend_from_slice(self.data());
        self.data.clear();
        put_message(&mut last, Head::connection(Kind::GoAway), away);
        self.last = Some(last);
    }

    /// Whole frames, for another to be added.
    #[inline]
    pub(crate) fn data(&mut self) -> &mut BytesMut {
        if !self.apart.is_empty() {
            self.join();
        }
        &mut self.data
    }

    #[cold]
    fn join(&mut self) {
        append(&mut self.data, &std::mem::take(&mut self.apart));
    }

    /// Adds a frame with a payload of `len` bytes: what `before` writes, and a message.
    #[inline]
    pub(crate) fn put(
        &mut self,
        head: Head,
        len: usize,
        before: impl Fn(&mut BytesMut),
        body: Body<'_>,
    ) {
        match body {
            Body::Write(_, message) => put_with(self.data(), head, len, |out| {
                before(out);
                message.write(out);
            }),
            encoded => self.put_encoded(head, len, &before, encoded.into_parts()),
        }
    }

    /// Not inlined, so that small messages have a short way.
    #[inline(never)]
    fn put_encoded(
        &mut self,
        head: Head,
        len: usize,
        before: &dyn Fn(&mut BytesMut),
        (front, rest): (Bytes, Bytes),
    ) {
        let data = self.data();
        put_header(data, head, len);
        before(data);
        append(data, &front);
        if rest.len() > COPIED {
            self.apart = rest;
        } else {
            append(data, &rest);
        }
    }

    /// The next call with a chunk to send.
    pub(crate) fn next(&mut self) -> Option<Key> {
        if self.last.is_some() {
            return None;
        }
        self.ring.pop_front()
    }

    /// Takes back the frames of those calls of which none has left, and says which these are.
    /// The first `sent` bytes of `out`, which was handed over, have; `payload` stands behind it.
    pub(crate) fn withdraw(
        &mut self,
        calls: &BTreeSet<CallId>,
        (out, payload): (&mut BytesMut, &mut Bytes),
        sent: usize,
    ) -> BTreeSet<CallId> {
        let frames = unsent(&self.data, 0).chain(unsent(out, sent));
        let opens = frames.filter(|frame| frame.header.kind == Kind::Call);
        let opened = opens.filter_map(|frame| frame.call());
        let unseen = opened
            .filter(|id| calls.contains(id))
            .collect::<BTreeSet<_>>();
        if !unseen.is_empty() {
            if remove(&mut self.data, 0, &unseen) {
                self.apart = Bytes::new();
            }
            if remove(out, sent, &unseen) {
                *payload = Bytes::new();
            }
        }
        unseen
    }

    /// Moves control and data frames to `out`, without a copy where `out` is empty; what was kept
    /// apart of the last goes to `payload`, and belongs behind.
    pub(crate) fn drain_whole(&mut self, out: &mut BytesMut, payload: &mut Bytes) {
        if let Some(last) = &mut self.last {
            out.extend_from_slice(last);
            last.clear();
            self.control.clear();
            self.data.clear();
            self.apart = Bytes::new();
        } else if out.is_empty() && self.control.is_empty() {
            std::mem::swap(out, &mut self.data);
        } else {
            out.extend_from_slice(&self.control);
            self.control.clear();
            out.extend_from_slice(&self.data);
            self.data.clear();
        }
        if !(self.apart.is_empty() && payload.is_empty()) {
            *payload = std::mem::take(&mut self.apart);
        }
        self.finals = 0;
        self.pressed = false;
        self.handed = self.handed.wrapping_add(1);
    }

    /// Bytes that are kept for frames.
    pub(crate) fn capacity(&self) -> usize {
        self.control.capacity().max(self.data.capacity())
    }

    /// Lets go of them, if there are no frames.
    pub(crate) fn rest(&mut self) {
        if self.control.is_empty() && self.data.is_empty() {
            self.control = BytesMut::new();
            self.data = BytesMut::new();
        }
    }

    /// Bytes that wait, without the large messages.
    pub(crate) fn backlog(&self) -> usize {
        let last = self.last.as_ref().map_or(0, BytesMut::len);
        let frames = self.data.len().saturating_add(self.apart.len());
        let waiting = self.control.len().saturating_add(frames);
        waiting.saturating_add(last)
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.last {
            Some(last) => last.is_empty(),
            None => self.control.is_empty() && self.data.is_empty() && self.ring.is_empty(),
        }
    }
}

/// A frame of which nothing has been sent.
struct Unsent<'a> {
    start: usize,
    header: Header,
    bytes: &'a [u8],
}

impl Unsent<'_> {
    fn call(&self) -> Option<CallId> {
        CallId::parse(self.header.call)
    }
}

/// Closes the gaps that the frames of these calls leave; nothing in front of them is moved.
/// Says whether the last frame is gone.
fn remove(buffer: &mut BytesMut, sent: usize, calls: &BTreeSet<CallId>) -> bool {
    let goes = |frame: &Unsent<'_>| frame.call().is_some_and(|id| calls.contains(&id));
    let frames = unsent(buffer, sent).map(|frame| (frame.start, frame.bytes.len(), goes(&frame)));
    let (mut end, mut last) = (None, false);
    for (start, len, goes) in frames.collect::<Vec<_>>() {
        let to = *end.get_or_insert(start);
        last = goes;
        if goes {
            continue;
        }
        if to < start {
            buffer.copy_within(start..start.saturating_add(len), to);
        }
        end = Some(to.saturating_add(len));
    }
    if let Some(end) = end {
        buffer.truncate(end);
    }
    last
}

/// The frames in a buffer that begin behind the first `sent` bytes. The payload of the last one
/// may stand elsewhere.
fn unsent(buffer: &BytesMut, sent: usize) -> impl Iterator<Item = Unsent<'_>> {
    let mut start = 0_usize;
    let frames = std::iter::from_fn(move || {
        let rest = buffer.get(start..)?;
        let header = Header::parse(rest.first_chunk::<HEADER_LEN>()?);
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let bytes = rest.get(..len.saturating_add(HEADER_LEN)).unwrap_or(rest);
        let frame = Unsent {
            start,
            header,
            bytes,
        };
        start = start.saturating_add(bytes.len());
        Some(frame)
    });
    frames.filter(move |frame| frame.start >= sent)
}
