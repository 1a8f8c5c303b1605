//! Before the load: connects, learns what the daemon offers, and makes one call.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ipc::{Client, ConnectError, HandshakeError, Method, Outcome, Policy, Shape, SocketPath};
use ipc_bench::proto::bench::Payload;
use ipc_bench::proto::reflection::{SchemaRequest, ServerReflectionClient};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use super::encoded::Encoded;
use super::schema::{Schema, access, encode};
use super::{Attached, Error, Place};
use crate::observe::Process;
use crate::output::say;

/// Where the daemon is, and what is to be called there.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(crate) place: Place,
    /// A method with one message each way, as package.Service/Method; without it, the echo that
    /// ipc_bench::echo() serves
    #[arg(long)]
    method: Option<String>,
    /// The request, as protobuf maps its JSON
    #[arg(
        long = "json",
        value_name = "BODY",
        requires = "method",
        default_value = "{}"
    )]
    body: String,
    /// An encoded FileDescriptorSet that has the method, where the daemon does not tell its schema
    #[arg(long, value_name = "FILE", requires = "method")]
    descriptors: Option<PathBuf>,
    /// Bytes of the payload of an echo
    #[arg(long, default_value_t = 64, conflicts_with = "method")]
    payload: usize,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `package.Service/Method`.
    pub(crate) method: String,
    body: Bytes,
    /// Bytes of the request, without what stands around those of an echo.
    pub(crate) payload: usize,
    /// Whether the answer is the request.
    pub(crate) is_echo: bool,
    /// The process to watch.
    pid: Option<u32>,
}

/// Finds out how the daemon is to be called, and that it answers.
pub(crate) async fn prepare(asked: &Asked) -> Result<Prepared, Error> {
    let Some(path) = &asked.method else {
        return echo(&asked.place, asked.payload).await;
    };
    let client = connect(&asked.place).await?;
    let schema = match &asked.descriptors {
        Some(file) => Schema::read(file)?,
        None => told(&client).await?,
    };
    let method = schema.unary(path)?;
    let body = encode(&method.input(), &asked.body)?;
    call_once(&client, &method, path, body.clone()).await?;
    Ok(Prepared {
        method: path.clone(),
        payload: body.len(),
        body,
        is_echo: false,
        pid: pid(&asked.place, &client),
    })
}

/// Finds out that the daemon echoes.
pub(crate) async fn echo(place: &Place, payload: usize) -> Result<Prepared, Error> {
    let client = connect(place).await?;
    let body = echo_body(payload);
    echo_once(&client, body.clone()).await?;
    Ok(Prepared {
        method: ECHO.into(),
        body,
        payload,
        is_echo: true,
        pid: pid(place, &client),
    })
}

impl Prepared {
    /// What client processes are told. The request goes into a file in `folder`.
    pub(crate) fn attached(
        &self,
        place: Place,
        folder: &Path,
    ) -> Result<Attached, crate::error::Error> {
        let body = folder.join("body");
        let failed = crate::error::Error::io("the request cannot be written");
        fs::write(&body, &self.body).map_err(failed)?;
        Ok(Attached {
            place,
            method: self.method.clone(),
            body,
            is_echo: self.is_echo,
            pid: self.watched(),
            stays: None,
        })
    }

    /// The process of the daemon; none, with a word about it, where nothing can be known of it.
    fn watched(&self) -> Option<u32> {
        let known = self.pid.filter(|&pid| {
            let process = Process(pid);
            process.rss_bytes().is_ok() && process.cpu_us().is_ok()
        });
        match known {
            // Who listened first is who the kernel names.
            Some(1) => say("the socket is process 1's: name the daemon's own process by --pid"),
            Some(_) => {}
            None => say("CPU time and memory of the daemon are not known here, and stand as 0"),
        }
        known
    }
}

/// The process that is told, or else the one that listens, as far as the kernel tells.
fn pid(place: &Place, client: &Client) -> Option<u32> {
    let listens = || u32::try_from(client.peer().informational_pid()?).ok();
    place.pid.or_else(listens)
}

/// Connects, and says who is at fault where that fails.
async fn connect(place: &Place) -> Result<Client, Error> {
    let path = place.socket.clone();
    open(place, None).await.map_err(|source| match &source {
        ipc::Error::Connect(error) if matches!(**error, ConnectError::Deadline { .. }) => {
            Error::Absent { path, source }
        }
        ipc::Error::Connect(error) if matches!(**error, ConnectError::NotAllowed { .. }) => {
            Error::Refused { path, source }
        }
        ipc::Error::Handshake(HandshakeError::Refused(_)) => Error::Refused { path, source },
        ipc::Error::Handshake(HandshakeError::NotTrusted(_)) => Error::NotTrusted { path, source },
        _ => Error::Connect { path, source },
    })
}

/// Connects.
pub(super) async fn open(place: &Place, deadline: Option<Duration>) -> Result<Client, ipc::Error> {
    let users = place.trust.iter().map(|&uid| Policy::user(uid));
    let mut builder = Client::builder(SocketPath::at(&place.socket)?)
        .trust(users.fold(Policy::default(), Policy::or))
        .connect_within(PATIENCE);
    if let Some(deadline) = deadline {
        builder = builder.deadline(deadline);
    }
    builder.connect().await
}

/// A method whose name was not known when this program was compiled. It stays for as long as the
/// program runs, so it is to be made once.
pub(super) fn method(path: &str) -> &'static Method {
    let path = Box::leak(path.to_owned().into_boxed_str());
    Box::leak(Box::new(Method::new(path, Shape::Unary)))
}

async fn told(client: &Client) -> Result<Schema, Error> {
    let reflection = ServerReflectionClient::new(client.clone());
    let told = reflection.schema(SchemaRequest {}).await;
    let told = told.map_err(|error| match error.code() {
        ipc::Code::Unimplemented => Error::NoReflection(error),
        _ => Error::Reflection(error),
    })?;
    Schema::told(told.file_descriptor_sets)
}

/// A daemon that refuses the method, or answers something else, is found before the load.
async fn call_once(
    client: &Client,
    method: &MethodDescriptor,
    path: &str,
    body: Bytes,
) -> Result<(), Error> {
    let name = || path.to_owned();
    let answer = client.unary::<_, Encoded>(self::method(path), Encoded(body));
    let Encoded(answer) = answer.await.map_err(|source| {
        let unseen = source.outcome() == Outcome::RefusedUnseen;
        match source.code() {
            ipc::Code::PermissionDenied if unseen => Error::Denied {
                method: name(),
                access: access(method),
                source,
            },
            _ => Error::FirstCall {
                method: name(),
                source,
            },
        }
    })?;
    let output = method.output();
    let read = DynamicMessage::decode(output.clone(), answer);
    read.map(drop).map_err(|source| Error::Answer {
        method: name(),
        message: output.full_name().to_owned(),
        source,
    })
}

async fn echo_once(client: &Client, body: Bytes) -> Result<(), Error> {
    let answer = client.unary::<_, Encoded>(method(ECHO), Encoded(body.clone()));
    let Encoded(answer) = answer.await.map_err(|source| match source.code() {
        ipc::Code::Unimplemented => Error::NoEcho(source),
        ipc::Code::PermissionDenied => Error::Denied {
            method: ECHO.into(),
            access: None,
            source,
        },
        _ => Error::FirstCall {
            method: ECHO.into(),
            source,
        },
    })?;
    if answer == body {
        Ok(())
    } else {
        Err(Error::Differs)
    }
}

fn echo_body(payload: usize) -> Bytes {
    let data = (0..=u8::MAX).cycle().take(payload);
    let payload = Payload {
        data: data.collect(),
    };
    payload.encode_to_vec().into()
}

/// What `ipc_bench::echo()` serves.
const ECHO: &str = "ipc.bench.Echo/Echo";
/// A daemon that is to be measured is there already.
const PATIENCE: Duration = Duration::from_secs(1);
