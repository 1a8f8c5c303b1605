//! The raw socket that all is compared with: 4 bytes of length, one write, one read.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use crate::error::Error;
use crate::load::Meter;

/// Bytes of the length in front of a payload.
const PREFIX: usize = 4;

/// Echoes on every connection, a thread each, until the process ends.
pub(crate) fn serve(path: &Path, ready: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let listener = UnixListener::bind(path).map_err(Error::io("the raw server cannot bind"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    ready()
}

/// One read takes up all that is there; one write answers it.
fn echo(mut stream: UnixStream) -> io::Result<()> {
    let mut buffer = Buffer::default();
    loop {
        while buffer.whole() == 0 {
            if buffer.read(&mut stream)? == 0 {
                return Ok(());
            }
        }
        let whole = buffer.whole();
        stream.write_all(buffer.front(whole))?;
        buffer.consume(whole);
    }
}

/// Ping-pong, or windows of `in_flight` frames: one write, then reads until all are back.
pub(crate) fn load(path: &Path, in_flight: usize, mut meter: Meter) -> Result<Meter, Error> {
    let failed = || Error::io("the raw connection failed");
    let mut stream = UnixStream::connect(path).map_err(failed())?;
    let mut buffer = Buffer::default();
    let mut requests = VecDeque::with_capacity(in_flight);
    let mut out = Vec::new();
    while meter.goes_on() {
        out.clear();
        for _ in 0..in_flight {
            let request = meter.request();
            let len = u32::try_from(request.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&request);
            requests.push_back(request);
        }
        let frame = out.len() / in_flight;
        let begun = meter.begin();
        exchange(&mut stream, &out, &mut buffer).map_err(failed())?;
        let took = begun.elapsed();
        let window = buffer.front(out.len()).chunks(frame);
        for (reply, request) in window.zip(requests.drain(..)) {
            let reply = reply.get(PREFIX..).unwrap_or_default();
            meter.end(took, &request, reply)?;
        }
        buffer.consume(out.len());
    }
    Ok(meter)
}

/// Writes a window and reads as much. One that the socket may not hold is written while the
/// answers are read, or both sides would wait for the other to read.
fn exchange(stream: &mut UnixStream, out: &[u8], buffer: &mut Buffer) -> io::Result<()> {
    if out.len() <= SPARE {
        stream.write_all(out)?;
        return buffer.fill(stream, out.len());
    }
    let mut writer = stream.try_clone()?;
    thread::scope(|scope| {
        let writing = scope.spawn(move || writer.write_all(out));
        buffer.fill(stream, out.len())?;
        writing.join().expect("writing does not panic")
    })
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

    /// Bytes of the whole frames at the front.
    fn whole(&self) -> usize {
        let mut at = 0;
        loop {
            let rest = self.bytes.get(at..self.filled).unwrap_or_default();
            let Some(prefix) = rest.first_chunk::<PREFIX>() else {
                return at;
            };
            let len = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
            let frame = len.saturating_add(PREFIX);
            if rest.len() < frame {
                return at;
            }
            at += frame;
        }
    }

    fn consume(&mut self, len: usize) {
        self.bytes.copy_within(len..self.filled, 0);
        self.filled -= len;
    }
}

/// Room for each read, in bytes.
const SPARE: usize = 65_536;
