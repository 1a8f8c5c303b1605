//! What a daemon registers so that `ipc-bench attach` and other tools can call it: a service that
//! answers with what it is given, and one that tells the daemon's schema.
//!
//! ```no_run
//! # mod proto { pub const FILE_DESCRIPTOR_SET: &[u8] = &[]; }
//! # fn main() -> Result<(), ipc::Error> {
//! use ipc::{Server, SocketPath};
//!
//! let server = Server::builder(SocketPath::system("com.example.jobs")?)
//!     .service(ipc_bench::echo())
//!     .service(ipc_bench::reflection([proto::FILE_DESCRIPTOR_SET]))
//!     .bind()?;
//! # Ok(())
//! # }
//! ```
//!
//! Without its default feature `cli`, which is the program, the package is these services alone:
//!
//! ```toml
//! ipc-bench = { version = "0.1", default-features = false }
//! ```
//!
//! # Security
//!
//! Both services are open to the user that the daemon runs as, and to root, whomever else the
//! daemon's policy lets in (`option (ipc.access) = SAME_USER`). An echo costs what its payload
//! does, within the daemon's limits; the schema has no data in it, but says what there is to call.

use bytes::Bytes;
use ipc::{Call, Service, Status};

use crate::proto::bench::{Echo, EchoServer, Payload};
use crate::proto::reflection::{
    SchemaReply, SchemaRequest, ServerReflection, ServerReflectionServer,
};

/// The messages and clients of the services, for programs that call them.
pub mod proto {
    /// Package `ipc.bench`.
    pub mod bench {
        include!(concat!(env!("OUT_DIR"), "/ipc.bench.rs"));
    }

    /// Package `ipc.reflection.v1`.
    pub mod reflection {
        include!(concat!(env!("OUT_DIR"), "/ipc.reflection.v1.rs"));
    }
}

/// `ipc.bench.Echo`, which answers with what it is given: what a call costs beside the daemon's
/// own work.
#[must_use = "a service is served once it is given to a server"]
pub fn echo() -> impl Service {
    EchoServer::new(Same)
}

/// `ipc.reflection.v1.ServerReflection`, which tells the schemas it is given: the
/// `FILE_DESCRIPTOR_SET` of each package, as `ipc_build::Config::descriptors` generates it.
#[must_use = "a service is served once it is given to a server"]
pub fn reflection(schemas: impl IntoIterator<Item = &'static [u8]>) -> impl Service {
    let schemas = schemas.into_iter().map(Bytes::from_static);
    ServerReflectionServer::new(Schemas(schemas.collect()))
}

struct Same;

impl Echo for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

struct Schemas(Vec<Bytes>);

impl ServerReflection for Schemas {
    async fn schema(&self, _: Call<SchemaRequest>) -> Result<SchemaReply, Status> {
        Ok(SchemaReply {
            file_descriptor_sets: self.0.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ipc::testing::{End, Split, pair};
    use ipc::{Access, Client};

    use super::*;
    use crate::proto::bench::EchoClient;
    use crate::proto::reflection::ServerReflectionClient;

    async fn client(service: impl Service) -> (Client, Client) {
        let far = End::new().service(service);
        pair(End::new(), far, Split::Whole).await.unwrap()
    }

    #[test]
    fn nobody_but_the_daemons_own_user_and_root_may_call() {
        let (echo, reflection) = (echo(), reflection([]));
        let methods = echo.methods().iter().chain(reflection.methods());
        let access = methods.map(|method| method.required_access());
        assert!(access.eq([Access::SameUser; 2]));
    }

    #[tokio::test]
    async fn an_echo_is_what_was_said() {
        let (near, _far) = client(echo()).await;
        let payload = Payload {
            data: Bytes::from_static(b"hello"),
        };
        let reply = EchoClient::new(near).echo(payload.clone()).await.unwrap();
        assert_eq!(reply, payload);
    }

    #[tokio::test]
    async fn each_schema_is_told_as_it_was_given() {
        let schemas = [proto::bench::FILE_DESCRIPTOR_SET, b"another"];
        let (near, _far) = client(reflection(schemas)).await;
        let reflection = ServerReflectionClient::new(near);
        let reply = reflection.schema(SchemaRequest {}).await.unwrap();
        assert_eq!(reply.file_descriptor_sets, schemas);
    }
}
