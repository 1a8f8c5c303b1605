//! The golden files, compiled against `ipc` under the lints of this workspace, and used as a program would.

/// Every call shape, option and kind of comment.
pub mod jobs {
    include!("golden/jobs.rs");
}

/// Odd names, and a package that is imported from the root.
pub mod edge {
    include!("golden/edge.rs");

    /// As prost-build nests packages.
    pub mod shared {
        /// Version 1.
        pub mod v1 {
            include!("golden/shared.rs");
        }
    }
}

/// Without the synchronous client.
pub mod small {
    include!("golden/small.rs");
}

use ipc::{Call, Receiver, Sender, Service, Status};
use jobs::{Chunk, Jobs, JobsServer, Line, Progress, SubmitReply, SubmitRequest, Summary};

struct Queue;

impl Jobs for Queue {
    async fn submit(&self, _: Call<SubmitRequest>) -> Result<SubmitReply, Status> {
        Ok(SubmitReply { id: 1 })
    }
    async fn watch(&self, _: Call<jobs::WatchRequest>, _: Sender<Progress>) -> Result<(), Status> {
        Ok(())
    }
    async fn upload(&self, _: Call<Receiver<Chunk>>) -> Result<Summary, Status> {
        Ok(Summary { bytes: 0 })
    }
    async fn attach(&self, _: Call<Receiver<Line>>, _: Sender<Line>) -> Result<(), Status> {
        Ok(())
    }
    async fn note(&self, _: Call<Line>) {}
    async fn purge(&self, _: Call<()>) -> Result<(), Status> {
        Ok(())
    }
    async fn start(&self, _: Call<SubmitRequest>) -> Result<SubmitReply, Status> {
        Ok(SubmitReply { id: 2 })
    }
    async fn uncommented(&self, _: Call<jobs::WatchRequest>) -> Result<SubmitReply, Status> {
        Ok(SubmitReply { id: 3 })
    }
}

#[test]
fn a_generated_server_is_a_service_that_describes_itself() {
    let server = JobsServer::new(Queue);
    assert_eq!(server.name(), "example.jobs.v1.Jobs");
    assert_eq!(server.methods().len(), jobs::JOBS_METHODS.len());
    assert_eq!(server.schema(), jobs::JOBS_SCHEMA);
    assert_eq!(format!("{server:?}"), "JobsServer { .. }");
}

#[test]
fn handlers_can_be_shared_with_the_rest_of_the_program() {
    let queue = std::sync::Arc::new(Queue);
    let server = JobsServer::from_arc(std::sync::Arc::clone(&queue));
    assert_eq!(std::sync::Arc::strong_count(&queue), 2);
    let again = server.clone();
    drop(server);
    assert_eq!(std::sync::Arc::strong_count(&queue), 2);
    drop(again);
    assert_eq!(std::sync::Arc::strong_count(&queue), 1);
}

#[test]
fn the_schema_as_data_names_its_service() {
    let pool = prost_reflect::DescriptorPool::decode(small::FILE_DESCRIPTOR_SET).unwrap();
    assert!(pool.get_service_by_name("small.Clock").is_some());
}

/// Compiles only where each function of the clients has the promised type.
pub mod promised {
    use super::edge::{EdgeClient, Option};
    use super::jobs::{
        Chunk, JobsBlockingClient, JobsClient, Line, Progress, SubmitReply, SubmitRequest, Summary,
        WatchRequest,
    };

    /// Clients are cheap handles.
    pub fn handle(client: &JobsClient) -> JobsClient {
        client.clone()
    }
    /// Unary.
    pub fn submit(client: &JobsClient) -> ipc::Unary<SubmitRequest, SubmitReply> {
        client.submit(SubmitRequest::default())
    }
    /// Server streaming.
    pub fn watch(client: &JobsClient) -> ipc::ServerStreaming<WatchRequest, Progress> {
        client.watch(WatchRequest { id: 1 })
    }
    /// Client streaming.
    pub fn upload(client: &JobsClient) -> ipc::ClientStreaming<Chunk, Summary> {
        client.upload()
    }
    /// Bidirectional.
    pub fn attach(client: &JobsClient) -> ipc::Bidirectional<Line, Line> {
        client.attach()
    }
    /// One-way.
    pub fn note(client: &JobsClient) -> ipc::OneWay<Line> {
        client.note(Line::default())
    }
    /// Nothing in, nothing out.
    pub fn purge(client: &JobsClient) -> ipc::Unary<(), ()> {
        client.purge(())
    }
    /// What is beneath.
    pub fn client(client: &JobsClient) -> &ipc::Client {
        client.client()
    }
    /// What is beneath, waiting.
    pub fn blocking_client(client: &mut JobsBlockingClient) -> &mut ipc::blocking::Client {
        client.client()
    }
    /// A method of the same name gives way.
    pub fn client_method(client: &EdgeClient) -> ipc::Unary<Option, Option> {
        client.client_(Option {})
    }
    /// Everything again, waiting.
    pub mod blocking {
        use super::{
            Chunk, JobsBlockingClient, Line, Progress, SubmitReply, SubmitRequest, Summary,
            WatchRequest,
        };
        use ipc::blocking::{
            Bidirectional, ClientStreaming, Exchange, OneWay, Receiver, ServerStreaming, Unary,
            Upload,
        };

        /// Unary.
        pub fn submit(client: &mut JobsBlockingClient) -> Unary<'_, SubmitRequest, SubmitReply> {
            client.submit(SubmitRequest::default())
        }
        /// Server streaming.
        pub fn watch(
            client: &mut JobsBlockingClient,
        ) -> ServerStreaming<'_, WatchRequest, Progress> {
            client.watch(WatchRequest { id: 1 })
        }
        /// Client streaming.
        pub fn upload(client: &mut JobsBlockingClient) -> ClientStreaming<'_, Chunk, Summary> {
            client.upload()
        }
        /// Bidirectional.
        pub fn attach(client: &mut JobsBlockingClient) -> Bidirectional<'_, Line, Line> {
            client.attach()
        }
        /// One-way.
        pub fn note(client: &mut JobsBlockingClient) -> OneWay<'_, Line> {
            client.note(Line::default())
        }
        /// What sending gives.
        pub fn send(client: &mut JobsBlockingClient) -> Result<(), ipc::Error> {
            let _: SubmitReply = submit(client).send()?;
            let _: Receiver<'_, Progress> = watch(client).send()?;
            let _: Upload<'_, Chunk, Summary> = upload(client).send()?;
            let _: Exchange<'_, Line, Line> = attach(client).send()?;
            note(client).send()?;
            client.purge(()).send()
        }
    }
}
