//! The raw socket that all is compared with: 4 bytes of length, one write, one read.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use bytes::Bytes;

use super::frame::{PREFIX, put, whole};
use super::{Blocking, Failure, accept};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::Target;

/// Echoes on every connection, a thread each, until the process ends.
pub(super) fn serve(serving: Serving) -> Result<(), Error> {
    accept::threads(serving, echo)
}

/// One read takes up all that is there; one write answers it.
fn echo(mut stream: UnixStream) -> io::Result<()> {
    let mut buffer = Buffer::default();
    loop {
        let whole = whole(buffer.front(buffer.filled));
        if whole > 0 {
            stream.write_all(buffer.front(whole))?;
            buffer.consume(whole);
        } else if buffer.read(&mut stream)? == 0 {
            return Ok(());
        }
    }
}

/// One connection: ping-pong, or windows of frames, written at once and read until all are back.
pub(super) struct Raw {
    stream: UnixStream,
    buffer: Buffer,
    out: Vec<u8>,
    /// Bytes of each frame.
    frame: usize,
}

impl Blocking for Raw {
    fn window(wanted: usize) -> Result<usize, Error> {
        Ok(wanted)
    }

    fn connect(target: &Target) -> Result<Self, Error> {
        let stream = UnixStream::connect(&target.socket)
            .map_err(Error::io("the raw client cannot connect"))?;
        Ok(Self {
            stream,
            buffer: Buffer::default(),
            out: Vec::new(),
            frame: PREFIX,
        })
    }

    fn prepare(&mut self, requests: &[Bytes]) {
        self.buffer.consume(self.out.len());
        self.out.clear();
        for request in requests {
            put(&mut self.out, request);
        }
        self.frame = self.out.len() / requests.len().max(1);
    }

    /// A window that the socket may not hold is written while the answers are read, or both sides
    /// would wait for the other to read. A single frame is read as a whole before it is answered.
    fn exchange(&mut self) -> Result<(), Failure> {
        let Self {
            stream,
            buffer,
            out,
            frame,
        } = self;
        if out.len() <= SPARE.max(*frame) {
            stream.write_all(out)?;
            return Ok(buffer.fill(stream, out.len())?);
        }
        let mut writer = stream.try_clone()?;
        thread::scope(|scope| {
            let writing = scope.spawn(|| writer.write_all(out));
            buffer.fill(stream, out.len())?;
            Ok(writing.join().expect("writing does not panic")?)
        })
    }

    fn replies(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.buffer.front(self.out.len()).chunks(self.frame);
        frames.map(|frame| frame.get(PREFIX..).unwrap_or_default())
    }
}

/// Bytes that were read and not yet used.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn read(&mut self, stream: &mut UnixStream) -> io::Result<usize> {
        if self.bytes.len() - self.filled < SPARE {
            self.bytes.resize(self.filled + 2 * SPARE, 0);
        }
        let read = stream.read(self.bytes.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += read;
        Ok(read)
    }

    /// Reads until so many bytes are there.
    fn fill(&mut self, stream: &mut UnixStream, len: usize) -> io::Result<()> {
        while self.filled < len {
            if self.read(stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn front(&self, len: usize) -> &[u8] {
        self.bytes.get(..len).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        let len = len.min(self.filled);
        self.bytes.copy_within(len..self.filled, 0);
        self.filled -= len;
    }
}

/// Room for each read, in bytes.
const SPARE: usize = 65_536;
