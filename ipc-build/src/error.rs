//! What can go wrong, worded for the person who reads the output of `cargo build`.

use std::path::PathBuf;
use std::{fmt, io};

/// Why no code was generated.
///
/// Each variant but [`Error::Write`] is a fault in a proto file, and its text begins with the file and,
/// where it is known, the line and column. `Debug` prints the same text as `Display` and the cause,
/// because that is what cargo shows when `main` of a build script returns the error.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum Error {
    /// A proto file is missing, unreadable, or not valid.
    #[error("{diagnostic}")]
    Proto {
        /// File, line, column and fault, as the proto compiler words them.
        diagnostic: String,
    },

    /// `option (ipc.one_way)` stands on a method that has something to answer.
    #[error("{at}: method {method} of service {service} cannot be one_way: {problem}")]
    OneWay {
        /// File, line and column of the method.
        at: String,
        /// Full name of the service.
        service: String,
        /// Name of the method.
        method: String,
        /// Which condition does not hold.
        problem: &'static str,
    },

    /// An `ipc` option has a value or a type that this version does not know.
    ///
    /// Refused rather than ignored: an access rule that is skipped would let everyone in.
    #[error("{at}: method {method} of service {service}: cannot read option (ipc.{option})")]
    UnreadableOption {
        /// File, line and column of the method.
        at: String,
        /// Full name of the service.
        service: String,
        /// Name of the method.
        method: String,
        /// Name of the option inside package `ipc`.
        option: &'static str,
    },

    /// Two methods of one service have the same id on the wire.
    #[error(
        "{at}: methods {first} and {second} of service {service} share the wire id {id:#010x}; rename one of them"
    )]
    MethodIdCollision {
        /// File, line and column of the second method.
        at: String,
        /// Full name of the service.
        service: String,
        /// The method that has the id first.
        first: String,
        /// The method that has it again.
        second: String,
        /// FNV-1a 32 of `package.Service/Method`.
        id: u32,
    },

    /// Two things of one package, message or enum would have the same name in Rust.
    #[error("{at}: {second} and {first} would both be named `{name}` in Rust; rename one of them")]
    NameClash {
        /// File, line and column of the second one.
        at: String,
        /// What has the name first.
        first: String,
        /// What would have it again.
        second: String,
        /// The name in Rust.
        name: String,
    },

    /// The generated code could not be written.
    #[error("cannot write the generated code to {}", folder.display())]
    Write {
        /// Where it was to go: the folder given to `Config::out_dir`, or `OUT_DIR` by that name.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl From<protox::Error> for Error {
    fn from(error: protox::Error) -> Self {
        // protox puts file, line and column into `Debug` only.
        Self::Proto {
            diagnostic: format!("{error:?}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Self::Write { source, .. } => write!(f, ": {source}"),
            Self::Proto { .. }
            | Self::OneWay { .. }
            | Self::UnreadableOption { .. }
            | Self::MethodIdCollision { .. }
            | Self::NameClash { .. } => Ok(()),
        }
    }
}
