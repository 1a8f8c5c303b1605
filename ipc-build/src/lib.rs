//! Generates typed services for `ipc` from proto files, inside `build.rs` and without `protoc`.
//!
//! A service in a proto file
//!
//! ```proto
//! syntax = "proto3";
//! package example.jobs.v1;
//!
//! import "google/protobuf/empty.proto";
//! import "ipc/options.proto"; // carried by ipc-build: nothing to copy
//!
//! // Runs commands for the agents of one user.
//! service Jobs {
//!   // Starts a job.
//!   rpc Submit(SubmitRequest) returns (SubmitReply);
//!   // Reports progress until the job ends.
//!   rpc Watch(WatchRequest) returns (stream Progress) {
//!     option idempotency_level = NO_SIDE_EFFECTS;
//!   }
//!   // Forgets every finished job.
//!   rpc Purge(google.protobuf.Empty) returns (google.protobuf.Empty) {
//!     option (ipc.access) = ROOT;
//!   }
//! }
//! ```
//!
//! and a build script of one line
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), ipc_build::Error> {
//!     ipc_build::compile_protos("proto/jobs.proto")
//! }
//! ```
//!
//! become a module of the crate:
//!
//! ```text
//! mod proto {
//!     include!(concat!(env!("OUT_DIR"), "/example.jobs.v1.rs"));
//! }
//! ```
//!
//! Generated code names what it imports from another package as a module beside its own: a package `example.jobs.v1`
//! says `super::super::shared::Token`. Where packages import each other, they need modules nested like their names; a
//! build script has prost-build write them into a file, and the crate includes that one:
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), ipc_build::Error> {
//!     ipc_build::Config::new()
//!         .prost(|prost| {
//!             prost.include_file("mod.rs");
//!         })
//!         .compile(&["proto/jobs.proto"], &["proto"])
//! }
//! ```
//!
//! ```text
//! mod proto {
//!     include!(concat!(env!("OUT_DIR"), "/mod.rs")); // proto::example::jobs::v1, proto::shared
//! }
//! ```
//!
//! `Cargo.toml` needs `ipc` and `prost` (and `prost-types`, where a message of `google.protobuf` other than `Empty` is
//! used) under `[dependencies]`, and `ipc-build` under `[build-dependencies]`.
//!
//! # What is generated
//!
//! The messages are prost's. For a service `Jobs`:
//!
//! | Name | What it is |
//! |---|---|
//! | `trait Jobs` | The handlers. Implement it with `async fn`s that take `ipc::Call<Request>`. |
//! | `JobsServer<T>` | The service around handlers: `JobsServer::new(handlers)` goes to `Server::builder(..).service(..)`. |
//! | `JobsClient` | The asynchronous client: `JobsClient::new(client).submit(request).await`. |
//! | `JobsBlockingClient` | The same for programs without a runtime: `JobsBlockingClient::new(client).submit(request).send()`; see [`Config::blocking`]. |
//! | `JOBS_METHODS` | The method table: names, shapes, access, idempotency. |
//! | `JOBS_SCHEMA` | A hash of the service and of every type it carries, below. |
//! | `FILE_DESCRIPTOR_SET` | The schema of the package as data, where it is asked for; see [`Config::descriptors`]. |
//!
//! Comments of the proto become docs, `deprecated` becomes `#[deprecated]`, and what has no comment gets a plain
//! sentence, so that a crate with `missing_docs` stays clean. Names that Rust reserves are escaped as prost does it:
//! a method `Type` becomes `r#type`, `Self` becomes `self_`; and `New` and `Client` become `new_` and `client_`,
//! because clients have a constructor `new`, and `client` for the `ipc` client that they wrap.
//!
//! # Options of a method
//!
//! | In the proto | Meaning |
//! |---|---|
//! | `option (ipc.access) = ROOT;` | Who may call it: `ANY` (everyone the policy admits, the default), `SAME_USER`, `ADMIN`, `ROOT`. |
//! | `option (ipc.one_way) = true;` | Sent without waiting for an answer; only where the method returns `google.protobuf.Empty` and streams nothing. |
//! | `option idempotency_level = NO_SIDE_EFFECTS;` | Protobuf's own, likewise `IDEMPOTENT`: recorded on the `Method`, for the caller to decide whether to send a call again that may have run. Nothing is sent again by itself. |
//! | `option deprecated = true;` | Protobuf's own: callers get a warning. |
//!
//! # The schema hash
//!
//! FNV-1a 64 over, in this order: the full name of the service and a zero byte; its serialized `ServiceDescriptorProto`
//! without options; one byte per method, 1 where it is one-way and else 0; then, for each message and enum that a
//! request or an answer can contain, sorted by full name, that name, a zero byte and its serialized descriptor without
//! options, JSON names, reserved and extension ranges and nested types (a nested type that is reached has its own
//! entry). Comments, access, idempotency and the layout of files do not change it; names, numbers, types and order do.
//!
//! # What is refused
//!
//! Faults of a proto that Rust or the wire would trip over later are errors here, with file, line and column: a one-way
//! method that has an answer, two methods of one service with the same wire id (FNV-1a 32 of
//! `package.Service/Method`), and two things with the same name in Rust, be they types or services of one package, fields
//! of one message or values of one enum. See [`Error`]. (Values of an enum that differ only in its name in front are
//! refused by prost-build, which panics; see `retain_enum_prefix` of its `Config`.)

mod blocking;
mod clash;
mod client;
mod descriptors;
mod docs;
mod error;
mod hash;
mod markdown;
mod names;
mod options;
mod resolve;
mod schema;
mod service;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fmt, io};

use prost_reflect::{DescriptorPool, FileDescriptor};
use prost_types::FileDescriptorSet;

pub use error::Error;
/// The version of prost-build that [`Config::prost`] hands out.
pub use prost_build;

use options::MethodFacts;
use service::{Generator, ServiceFacts};

/// Generates the code of one proto file with the defaults of [`Config`]; all that most build scripts need.
///
/// Imports are looked up next to the file, then among the files carried here (`ipc/options.proto` and Google's).
/// Code goes to `OUT_DIR`, one file per package; a proto without a package goes to `_.rs`.
///
/// # Errors
///
/// As [`Config::compile`].
pub fn compile_protos(proto: impl AsRef<Path>) -> Result<(), Error> {
    let include = match proto.as_ref().parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Config::new().compile(&[proto.as_ref()], &[include])
}

/// How to generate, where the defaults of [`compile_protos`] do not fit.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), ipc_build::Error> {
///     ipc_build::Config::new()
///         .blocking(false)
///         .prost(|prost| {
///             prost.bytes(["."]);
///         })
///         .compile(&["proto/jobs.proto", "proto/agent.proto"], &["proto"])
/// }
/// ```
#[must_use = "a config does nothing until `compile`"]
pub struct Config {
    blocking: bool,
    descriptors: bool,
    includes: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    prost: prost_build::Config,
}

impl Config {
    /// Everything is generated, into `OUT_DIR`.
    pub fn new() -> Self {
        Self {
            blocking: true,
            descriptors: false,
            includes: Vec::new(),
            out_dir: None,
            prost: prost_build::Config::new(),
        }
    }

    /// Whether to generate the synchronous clients too. Default: `true`.
    pub fn blocking(mut self, yes: bool) -> Self {
        self.blocking = yes;
        self
    }

    /// Whether each package that has a service gets `FILE_DESCRIPTOR_SET`, its schema as data. Default: `false`.
    ///
    /// It is an encoded `google.protobuf.FileDescriptorSet` of the package and all that it imports, with the options of
    /// methods and without comments: what a server hands to programs that ask for its schema.
    pub fn descriptors(mut self, yes: bool) -> Self {
        self.descriptors = yes;
        self
    }

    /// Adds a folder in which imports are looked up, after those given to [`Config::compile`].
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.includes.push(folder.into());
        self
    }

    /// Where the code goes. Default: `OUT_DIR`, which cargo sets for build scripts.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Sets options of prost-build: extra derives, `bytes::Bytes` fields, external types.
    ///
    /// Its service generator is replaced by the one of this crate. The folder is for [`Config::out_dir`] to say: with
    /// one that only prost-build knows, the data of [`Config::descriptors`] would not lie beside the code that includes it.
    pub fn prost(mut self, set: impl FnOnce(&mut prost_build::Config)) -> Self {
        set(&mut self.prost);
        self
    }

    /// Generates the code of `protos`, and of everything they import but Google's.
    ///
    /// Each of `protos` lies in one of `includes`. Cargo is told to run the build script again when one of the
    /// files that were read changes; a file whose code would be the same is left as it is. Calls that write to
    /// the same folder must not share a package: the later one would replace the file of the earlier one.
    ///
    /// # Errors
    ///
    /// Any [`Error`]: a fault in a proto file, or a failure to write.
    pub fn compile(
        mut self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let mut folders: Vec<PathBuf> = includes.iter().map(|i| i.as_ref().to_owned()).collect();
        folders.append(&mut self.includes);

        let compiler = resolve::compile(protos, &folders)?;
        let pool = compiler.descriptor_pool();
        let facts = read_services(&pool, self.blocking)?;
        let mut descriptors = compiler.file_descriptor_set();
        // Only options are defined there, and no generated code names them.
        descriptors
            .file
            .retain(|file| file.name() != resolve::OPTIONS_FILE);
        descriptors.file.iter_mut().for_each(docs::fill);

        self.prost.service_generator(Box::new(Generator {
            blocking: self.blocking,
            descriptors: self.descriptors,
            facts,
        }));
        if let Some(folder) = &self.out_dir {
            self.prost.out_dir(folder);
        }
        self.write(descriptors, &pool)
            .map_err(|source| Error::Write {
                folder: self.out_dir.unwrap_or_else(|| "OUT_DIR".into()),
                source,
            })?;
        for path in compiler.files().filter_map(|file| file.path()) {
            rerun_if_changed(path);
        }
        Ok(())
    }

    fn write(&mut self, files: FileDescriptorSet, pool: &DescriptorPool) -> io::Result<()> {
        self.prost.compile_fds(files)?;
        let given = || env::var_os("OUT_DIR").map(PathBuf::from);
        match self.out_dir.clone().or_else(given) {
            Some(folder) if self.descriptors => descriptors::write(pool, &folder),
            _ => Ok(()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("blocking", &self.blocking)
            .field("descriptors", &self.descriptors)
            .field("includes", &self.includes)
            .field("out_dir", &self.out_dir)
            .finish_non_exhaustive()
    }
}

/// Checks every service and reads what prost-build will not tell, by full name.
fn read_services(
    pool: &DescriptorPool,
    blocking: bool,
) -> Result<HashMap<String, ServiceFacts>, Error> {
    let files: Vec<FileDescriptor> = pool
        .files()
        .filter(|file| file.name() != resolve::OPTIONS_FILE)
        // Its types come from prost-types.
        .filter(|file| file.package_name() != "google.protobuf")
        .collect();
    clash::check_names(files.iter(), blocking)?;
    let mut facts = HashMap::new();
    for service in pool.services() {
        clash::check_methods(&service)?;
        let methods = service
            .methods()
            .map(|method| MethodFacts::read(&method))
            .collect::<Result<Vec<_>, _>>()?;
        let schema = schema::hash(&service, &methods);
        facts.insert(
            service.full_name().to_owned(),
            ServiceFacts { schema, methods },
        );
    }
    Ok(facts)
}

#[expect(clippy::print_stdout, reason = "cargo reads a build script's stdout")]
fn rerun_if_changed(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}
