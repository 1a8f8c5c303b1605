//! Raw sockets, many at once: one thread on each side that waits for all of its connections,
//! by epoll or kqueue.

mod line;
mod once;
mod window;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker, net};
use slab::Slab;

use self::line::Line;
use self::once::Once;
use self::window::Window;
use super::frame::whole;
use crate::error::Error;
use crate::load::Load;
use crate::output::complain;
use crate::scenario;
use crate::serve::Serving;
use crate::workload::Scenario;

/// The listener's token; connections count up from 0.
const LISTENER: Token = Token(usize::MAX);
/// That of the word to stop.
const STOP: Token = Token(usize::MAX - 1);
/// Events that one wait can bring.
const EVENTS: usize = 1_024;

/// Echoes on every connection until it is told to stop.
pub(super) fn serve(serving: Serving) -> Result<(), Error> {
    let failed = || Error::io("the raw epoll server failed");
    let listener = UnixListener::bind(&serving.socket).map_err(failed())?;
    let mut server = Server::new(listener).map_err(failed())?;
    let waker = Arc::new(Waker::new(server.poll.registry(), STOP).map_err(failed())?);
    let stopped = serving.listens()?;
    // One that is closed takes its event along.
    let waking = Arc::clone(&waker);
    thread::spawn(move || {
        stopped.blocking_recv().ok();
        if let Err(error) = waking.wake() {
            complain(&failed()(error));
        }
    });
    let served = server.run().map_err(failed());
    drop(waker);
    served
}

struct Server {
    poll: Poll,
    listener: net::UnixListener,
    lines: Slab<Line>,
    is_stopped: bool,
}

impl Server {
    fn new(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = net::UnixListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            lines: Slab::new(),
            is_stopped: false,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_stopped {
            wait(&mut self.poll, &mut events)?;
            for event in &events {
                self.handle(event)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) -> io::Result<()> {
        match event.token() {
            LISTENER => return self.accept(),
            STOP => self.is_stopped = true,
            Token(line) => {
                // Its client has gone.
                if self.answer(event).is_err() {
                    self.lines.try_remove(line);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let entry = self.lines.vacant_entry();
            let token = Token(entry.key());
            entry.insert(Line::new(stream, self.poll.registry(), token)?);
        }
    }

    /// One write for all frames that are whole.
    fn answer(&mut self, event: &Event) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(event.token().0) else {
            return Ok(());
        };
        let registry = self.poll.registry();
        if event.is_writable() {
            line.flush(registry)?;
        }
        if event.is_readable() {
            line.read()?;
            let len = whole(line.inbox());
            line.forward(len, registry)?;
        }
        Ok(())
    }
}

/// Makes the calls of one client process.
pub(super) fn load(load: Load) -> Result<(), Error> {
    match load.workload.scenario {
        Scenario::Connect => scenario::threads::<Once>(load),
        Scenario::Unary if load.workload.rate.is_none() => calls(load),
        _ => Err(Error::Unsupported(
            "anything but connects and unary calls in a closed loop by raw_epoll",
        )),
    }
}

/// Calls on every connection, a window each, until it is enough.
fn calls(load: Load) -> Result<(), Error> {
    let Load {
        workload,
        target,
        control,
    } = load;
    let failed = || Error::io("the raw epoll client failed");
    let mut poll = Poll::new().map_err(failed())?;
    let mut lines = Vec::with_capacity(workload.connections);
    for index in 0..workload.connections {
        // Blocking: the listener's queue may be full.
        let stream = UnixStream::connect(&target.socket).map_err(failed())?;
        stream.set_nonblocking(true).map_err(failed())?;
        let stream = net::UnixStream::from_std(stream);
        lines.push(Line::new(stream, poll.registry(), Token(index)).map_err(failed())?);
    }
    let callers = workload.connections * workload.in_flight;
    let run = control.begin_blocking(&workload, callers)?;
    let windows = lines.into_iter().map(|line| {
        let mut window = Window::new(line, run.meter.caller(), workload.in_flight);
        let is_open = window.begin(poll.registry());
        is_open.then_some(window)
    });
    let windows = windows.collect();
    drive(&mut poll, windows).map_err(failed())?;
    run.end_blocking()
}

/// Until no window is open any more.
fn drive(poll: &mut Poll, mut windows: Vec<Option<Window>>) -> io::Result<()> {
    let mut open = windows.iter().flatten().count();
    let mut events = Events::with_capacity(EVENTS);
    while open > 0 {
        wait(poll, &mut events)?;
        for event in &events {
            if let Some(slot) = windows.get_mut(event.token().0)
                && let Some(window) = slot
                && !window.goes_on(event, poll.registry())
            {
                *slot = None;
                open -= 1;
            }
        }
    }
    Ok(())
}

fn wait(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    loop {
        match poll.poll(events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => return waited,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_server_that_can_accept_no_more_says_why() {
        // A socket that is readable and does not listen.
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let listener = UnixListener::from(OwnedFd::from(near));
        let error = Server::new(listener).unwrap().run().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
