//! A daemon of somebody's, in this process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ipc::{Access, Call, Handling, Incoming, Method, Policy, Server, ServerBuilder, Service};
use ipc::{Shape, SocketPath, Status};
use ipc_bench::proto::bench::{Echo, EchoServer, Payload};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) const PROTO: &str = r#"
    syntax = "proto3";
    package user;
    service Jobs {
      rpc Submit(Request) returns (Reply);
      rpc Refuse(Request) returns (Reply);
      rpc Purge(Request) returns (Reply);
      rpc Watch(Request) returns (stream Reply);
    }
    message Request { string name = 1; repeated uint32 sizes = 2; }
    message Reply { uint64 id = 1; }
"#;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, repeated, tag = "2")]
    sizes: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Reply {
    #[prost(uint64, tag = "1")]
    id: u64,
}

/// What the proto says, by hand.
struct Jobs;

static METHODS: [Method; 3] = [
    Method::new("user.Jobs/Submit", Shape::Unary),
    Method::new("user.Jobs/Refuse", Shape::Unary),
    Method::new("user.Jobs/Purge", Shape::Unary).access(Access::Root),
];

impl Service for Jobs {
    fn name(&self) -> &'static str {
        "user.Jobs"
    }
    fn methods(&self) -> &'static [Method] {
        &METHODS
    }
    fn schema(&self) -> u64 {
        0
    }
    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        incoming.unary(move |call: Call<Request>| async move {
            match method {
                1 => Err(Status::not_found("there is never such a job")),
                _ => Ok(Reply {
                    id: u64::try_from(call.body.name.len()).unwrap_or_default(),
                }),
            }
        })
    }
}

/// Echoes, and never closes what it opens.
#[derive(Default)]
struct Leaking(Mutex<Vec<File>>);

impl Echo for Leaking {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        let file = File::open("/dev/null").map_err(|error| Status::internal(error.to_string()))?;
        self.0.lock().expect("nobody panics").push(file);
        Ok(call.body)
    }
}

/// Echoes, and tells each call as long as there is somebody to hear it.
pub(crate) struct Telling(pub(crate) SyncSender<()>);

impl Echo for Telling {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        self.0.try_send(()).ok();
        Ok(call.body)
    }
}

/// A daemon that serves until it is dropped.
pub(crate) struct Daemon {
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Serves jobs, and what `more` registers.
    pub(crate) fn start(more: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let path = SocketPath::at(folder.path().join("s")).expect("a short path");
        let server = runtime.block_on(async {
            let builder = Server::builder(path).service(Jobs);
            more(builder).bind().expect("nobody else is there")
        });
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let served = runtime.block_on(server.serve_until(stopped));
            served.expect("the socket stays");
        };
        Self {
            folder,
            stop: Some(stop),
            thread: Some(thread::spawn(serve)),
        }
    }

    /// Serves jobs, the echo, and the schema.
    pub(crate) fn open() -> Self {
        let schema: &[u8] = descriptors().leak();
        Self::start(|builder| {
            builder
                .service(ipc_bench::echo())
                .service(ipc_bench::reflection([schema]))
        })
    }

    /// Echoes, and holds a descriptor more after each call.
    pub(crate) fn leaking() -> Self {
        Self::start(|builder| builder.service(EchoServer::new(Leaking::default())))
    }

    /// Lets in nobody who could ask.
    pub(crate) fn closed() -> Self {
        Self::start(|builder| builder.allow(Policy::user(4_711)))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Puts a file beside the socket.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("the file can be written");
        path
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()), "the daemon failed");
    }
}

/// The proto as an encoded FileDescriptorSet.
pub(crate) fn descriptors() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("user.proto"), PROTO).expect("the file can be written");
    let mut compiler = protox::Compiler::new([folder.path()]).expect("a folder of protos");
    compiler.include_imports(true);
    compiler
        .open_file(Path::new("user.proto"))
        .expect("a valid proto");
    compiler.encode_file_descriptor_set()
}

/// How long an event may take to come; shorter than the loads that go on meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
