//! What the command lines of both programs have in common, and how both end.

use std::error::Error;
use std::fmt::Write as _;
use std::future::{Future, pending};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Args;
use ipc::SocketPath;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;
use crate::events::Outlet;
use crate::pump::Pump;

/// Where the daemon and its agents meet.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub struct Place {
    /// Meet at the socket of the whole machine (the default for root)
    #[arg(long)]
    system: bool,
    /// Meet at a socket of this user (the default for everyone else)
    #[arg(long)]
    user: bool,
    /// Meet at this path
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Place {
    /// The path of the socket.
    ///
    /// # Errors
    ///
    /// When there is no such place for this user, or the path is too long.
    pub fn path(&self) -> Result<SocketPath, Failure> {
        let is_root = nix::unistd::geteuid().is_root();
        let path = match &self.socket {
            Some(path) => SocketPath::at(path),
            None if self.system || (is_root && !self.user) => SocketPath::system(SERVICE),
            None => SocketPath::user(SERVICE),
        };
        path.map_err(Failure::Path)
    }
}

const SERVICE: &str = "com.example.drift";

/// What a program says while it runs.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// Log to standard error what passes this filter, such as `debug` or `ipc=trace,info`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: EnvFilterText,
    /// Print events to standard output, one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Starts logging and gives the way out for events.
    #[must_use]
    pub fn start(&self) -> Outlet {
        let filter = EnvFilter::new(&self.log.0);
        let pump = LOG.get_or_init(|| Pump::start(io::stderr()));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| LogLine(pump));
        log.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init();
        if self.json {
            Outlet::Stdout(Pump::start(io::stdout()))
        } else {
            Outlet::Nowhere
        }
    }
}

/// A log line may be written by whoever holds a lock that others need.
struct LogLine(&'static Pump);

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.offer(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// There is one log, and whoever ends the program ends it.
static LOG: OnceLock<Pump> = OnceLock::new();

/// A filter that has been found well-formed; the real one cannot be cloned.
#[derive(Clone, Debug)]
struct EnvFilterText(String);

impl std::str::FromStr for EnvFilterText {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

/// Why a program ends early.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no such place to meet, or no socket can be there.
    #[error("cannot use the socket path")]
    Path(#[source] ipc::PathError),
    /// The other side, or the way to it.
    #[error("{doing}")]
    Ipc {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        source: Box<ipc::Error>,
    },
    /// The machine.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// A single look found that something does not hold.
    #[error("{0} of the checks do not hold")]
    Drifted(usize),
    /// Somebody wanted a single look to end before it had found out.
    #[error("stopped before all checks were run")]
    Stopped,
}

impl Failure {
    /// Says what was being done when the other side, or the way to it, failed.
    #[must_use]
    pub fn ipc(doing: &'static str, source: ipc::Error) -> Self {
        Self::Ipc {
            doing,
            source: Box::new(source),
        }
    }

    /// Says what was being done when the machine failed.
    #[must_use]
    pub const fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io { doing, source }
    }

    /// The numbers are those of `sysexits.h`, and what a shell gives a program that Ctrl-C ended.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Path(_) => 78,
            Self::Ipc { source, .. } => match source.code() {
                _ if matches!(**source, ipc::Error::Bind(_)) => 71,
                _ if is_kept_out(source) => REFUSED,
                ipc::Code::Unavailable => 69,
                _ => 1,
            },
            Self::Io { .. } => 71,
            Self::Drifted(_) => 1,
            Self::Stopped => 130,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        let Self::Ipc { source, .. } = self else {
            return None;
        };
        match source.code() {
            _ if is_taken(source) => {
                Some("a second daemon needs a socket of its own, see --socket")
            }
            _ if is_kept_out(source) => Some(
                "the daemon lets in root, its own user and those of --allow-uid; \
                 the agent trusts root and --trust-uid",
            ),
            ipc::Code::Unavailable => Some(
                "is daemon-example running, and at this socket? \
                 that of root is at --system, unless told otherwise",
            ),
            _ => None,
        }
    }
}

fn is_taken(error: &ipc::Error) -> bool {
    matches!(error, ipc::Error::Bind(why) if matches!(**why, ipc::BindError::InUse { .. }))
}

/// Whether the daemon, the agent or the mode of the socket stands in the way.
fn is_kept_out(error: &ipc::Error) -> bool {
    match error {
        ipc::Error::Connect(why) => matches!(**why, ipc::ConnectError::NotAllowed { .. }),
        other => matches!(
            other.code(),
            ipc::Code::PermissionDenied | ipc::Code::Unauthenticated
        ),
    }
}

/// The exit code of a program that the other side did not let in, or that did not trust it.
pub const REFUSED: u8 = 77;

/// Runs `program` to the end of its `life`.
///
/// Commands that checks have started end with it. What blocks a thread, such as a check in a file
/// system that does not answer or a pipe that nobody reads, is left behind after a second.
#[must_use]
pub fn run(program: &str, life: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(source) => {
            let failure = Failure::io("cannot start", source);
            // Without standard error there is nobody to tell; the code remains.
            io::stderr()
                .write_all(line(program, &failure).as_bytes())
                .ok();
            return ExitCode::from(failure.exit_code());
        }
    };
    let ended = runtime.block_on(async {
        let lived = life.await;
        if let Some(log) = LOG.get() {
            log.end(None).await;
        }
        let Err(failure) = lived else {
            return ExitCode::SUCCESS;
        };
        tell(program, &failure).await;
        ExitCode::from(failure.exit_code())
    });
    runtime.shutdown_timeout(PATIENCE);
    ended
}

/// To end what runs takes no time where threads are not blocked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells a failure in one line, with its causes and what to do.
///
/// Waits for one who reads standard error slowly, but not against a wish to stop.
async fn tell(program: &str, failure: &Failure) {
    let stop = async {
        if let Failure::Stopped = failure {
            tokio::time::sleep(PATIENCE).await;
        } else if let Ok(signal) = stop_signal() {
            signal.await;
        } else {
            pending::<()>().await;
        }
    };
    tokio::select! {
        // First of all, or a signal that comes now would be heard by nobody.
        biased;
        () = stop => {}
        // Without standard error there is nobody to tell; the code remains.
        _ = print(io::stderr(), line(program, failure)) => {}
    }
}

/// Writes `text` in a thread of its own: one who reads it slowly, or not at all, holds that.
///
/// # Errors
///
/// When nobody can read it any more.
///
/// # Cancel safety
///
/// Dropping the future leaves the thread to write what it can.
pub async fn print(mut to: impl Write + Send + 'static, text: String) -> io::Result<()> {
    let mut write = move || {
        to.write_all(text.as_bytes())?;
        to.flush()
    };
    // Not one of the runtime's: checks that are stuck may hold all of those.
    let (done, is_done) = oneshot::channel();
    std::thread::Builder::new()
        .name("print".into())
        .spawn(move || done.send(write()))?;
    is_done.await.map_err(io::Error::other)?
}

fn line(program: &str, failure: &Failure) -> String {
    let mut line = format!("{program}: {}", with_causes(failure));
    if let Some(remedy) = failure.remedy() {
        write!(line, " ({remedy})").ok();
    }
    line.push('\n');
    line
}

/// An error and its causes in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A status is told by itself elsewhere, and so repeats its cause.
        if !line.contains(&text) {
            write!(line, ": {text}").ok();
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Waits for the wish to stop: Ctrl-C, a closed terminal, or a supervisor. Signals count from this call on.
///
/// # Errors
///
/// When the system takes no more signal handlers.
pub fn stop_signal() -> Result<impl Future<Output = ()> + Send, Failure> {
    let install =
        |kind| signal(kind).map_err(|source| Failure::io("cannot wait for signals", source));
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut hangup = install(SignalKind::hangup())?;
    let mut terminate = install(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_program_does_not_wait_for_a_thread_that_is_blocked() {
        let (let_go, blocked) = mpsc::channel::<()>();
        let (started, starts) = oneshot::channel();
        let block = move || {
            started.send(()).ok();
            blocked.recv()
        };
        let life = async {
            tokio::task::spawn_blocking(block);
            starts.await.unwrap();
            Ok(())
        };
        let (told, tells) = mpsc::channel();
        std::thread::spawn(move || told.send(run("test", life)));
        let ended = tells.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(ended, ExitCode::SUCCESS);
        drop(let_go);
    }
}
