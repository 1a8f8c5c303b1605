//! Why a daemon cannot be load-tested as it was asked for.

use std::io;
use std::path::PathBuf;

use prost_reflect::DescriptorError;

/// Why a daemon cannot be load-tested as it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no daemon listens at {}", path.display())]
    Absent {
        path: PathBuf,
        #[source]
        source: ipc::Error,
    },
    #[error("the daemon at {} does not let this user in", path.display())]
    Refused {
        path: PathBuf,
        #[source]
        source: ipc::Error,
    },
    #[error("the process at {} is not trusted: name the user it runs as by --trust", path.display())]
    NotTrusted {
        path: PathBuf,
        #[source]
        source: ipc::Error,
    },
    #[error("the connection to {} did not come about", path.display())]
    Connect {
        path: PathBuf,
        #[source]
        source: ipc::Error,
    },
    #[error(
        "the daemon does not echo: let it register ipc_bench::echo(), or name a method of its own by --method"
    )]
    NoEcho(#[source] ipc::Error),
    #[error(
        "the daemon does not tell its schema: let it register ipc_bench::reflection(..), or give --descriptors"
    )]
    NoReflection(#[source] ipc::Error),
    #[error("the daemon's schema cannot be asked for")]
    Reflection(#[source] ipc::Error),
    #[error("the descriptors in {} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{origin} is no encoded google.protobuf.FileDescriptorSet")]
    Descriptors {
        /// The daemon, or a file.
        origin: String,
        #[source]
        source: DescriptorError,
    },
    #[error("the schema has no method {wanted}: {}", known(nearest))]
    NoMethod {
        wanted: String,
        /// The nearest first.
        nearest: Vec<String>,
    },
    #[error("{method} streams: only methods with one message each way can be called")]
    Streams { method: String },
    #[error("the body is no {message}, see {place}")]
    Body {
        /// Full name of the type.
        message: String,
        /// Where in the body, as `jobs[2].name`; `.` is the whole, `?` where that is no JSON.
        place: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{method} is not open to this user{}", wanted(access.as_deref()))]
    Denied {
        method: String,
        /// As in the schema, if it says so.
        access: Option<String>,
        #[source]
        source: ipc::Error,
    },
    #[error("a first call of {method} failed")]
    FirstCall {
        method: String,
        #[source]
        source: ipc::Error,
    },
    #[error("what {method} answers is no {message}: the daemon has another schema")]
    Answer {
        method: String,
        /// Full name of the type.
        message: String,
        #[source]
        source: prost::DecodeError,
    },
    #[error("the echo differs from what was sent")]
    Differs,
}

fn known(nearest: &[String]) -> String {
    match nearest.split_at_checked(SHOWN) {
        _ if nearest.is_empty() => "it has none".to_owned(),
        Some((shown, rest)) if !rest.is_empty() => {
            format!("it has {} and {} more", shown.join(", "), rest.len())
        }
        _ => format!("it has {}", nearest.join(", ")),
    }
}

/// How many methods a message names.
const SHOWN: usize = 5;

fn wanted(access: Option<&str>) -> String {
    access.map_or_else(String::new, |access| format!(", the schema says {access}"))
}
