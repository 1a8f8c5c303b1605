//! A bare socket on which only the server writes, as fast as it can.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use super::frame::{PREFIX, frame_len, put};
use super::{Failure, accept};
use crate::clock::now;
use crate::error::Error;
use crate::load::Load;
use crate::meter::Caller;
use crate::serve::Serving;
use crate::workload::Scenario;

/// Streams on every connection, a thread each, until the process ends.
pub(super) fn serve(serving: Serving) -> Result<(), Error> {
    accept::threads(serving, answer)
}

/// The client says how large a payload is, and takes no more when it has gone.
fn answer(mut stream: UnixStream) -> io::Result<()> {
    let mut wanted = [0; PREFIX];
    stream.read_exact(&mut wanted)?;
    let len = usize::try_from(u32::from_le_bytes(wanted)).unwrap_or(usize::MAX);
    let mut frame = Vec::new();
    put(&mut frame, &vec![0; len]);
    loop {
        stream.write_all(&frame)?;
    }
}

/// Receives on every connection, a thread each, until it is enough.
pub(super) fn load(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    if workload.scenario != Scenario::ServerStream || workload.in_flight > 1 {
        return Err(Error::Unsupported(
            "anything but one stream to each client by raw_stream",
        ));
    }
    let failed = || Error::io("the raw stream client cannot connect");
    let connections = (0..workload.connections).map(|_| UnixStream::connect(&load.target.socket));
    let connections = connections.collect::<io::Result<Vec<_>>>();
    let connections = connections.map_err(failed())?;
    let run = load.control.begin_blocking(&workload, connections.len())?;
    thread::scope(|scope| {
        for stream in connections {
            let caller = run.meter.caller();
            scope.spawn(move || receive(stream, caller));
        }
    });
    run.end_blocking()
}

fn receive(stream: UnixStream, mut caller: Caller) {
    let payload = caller.request().len();
    let mut last = caller.begin_now();
    let took = take(stream, payload, &mut caller, &mut last);
    if let (Err(error), Some(begun)) = (took, last) {
        caller.end(begun, now(), &Err(Failure::from(error)));
    }
}

/// Reads each frame into the same room, no further than its end: nothing has to be moved.
fn take(
    mut stream: UnixStream,
    payload: usize,
    caller: &mut Caller,
    last: &mut Option<Instant>,
) -> io::Result<()> {
    let wanted = u32::try_from(payload).unwrap_or(u32::MAX);
    stream.write_all(&wanted.to_le_bytes())?;
    let mut room = vec![0; PREFIX + payload];
    while let Some(begun) = *last {
        stream.read_exact(&mut room)?;
        if frame_len(&room) != Some(room.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        caller.end(begun, now(), &Ok(payload));
        *last = caller.begin_now();
    }
    Ok(())
}
