//! Heap allocations of one unary call with a deadline, counted on either side.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use ipc::{Client, Server, SocketPath};
use ipc_bench::proto::bench::{EchoClient, Payload};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// What one call may allocate on each side.
const MOST: u64 = 4;
/// What each call carries, as in the measurements.
const DEADLINE: Duration = Duration::from_secs(10);
/// Calls that are counted; those before them fill buffers and tables.
const COUNTED: u64 = 1_000;
const BEFORE: u64 = 100;

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn calls(client: &EchoClient, count: u64) {
    for _ in 0..count {
        let data = Bytes::from_static(&[7; 64]);
        let reply = client.echo(Payload { data: data.clone() }).await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.data, data);
    }
}

/// What the client allocates for the counted calls, after some others.
fn client(path: &Path, counted: u64) -> u64 {
    let runtime = runtime();
    let builder = Client::builder(SocketPath::at(path).expect("a short path")).deadline(DEADLINE);
    let client = runtime.block_on(builder.connect()).expect("a server");
    let client = EchoClient::new(client);
    runtime.block_on(calls(&client, BEFORE));
    measure(|| runtime.block_on(calls(&client, counted))).count_total
}

/// What the server allocates in its whole life, and the client for the counted calls.
fn both(counted: u64) -> (u64, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let (ready, is_ready) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let runtime = runtime();
            let serving = async {
                let path = SocketPath::at(&path).expect("a short path");
                let server = Server::builder(path).service(ipc_bench::echo());
                let server = server.bind().expect("a free path");
                ready.send(()).expect("who waits");
                server
                    .serve_until(stopped)
                    .await
                    .expect("a listening socket");
            };
            measure(|| runtime.block_on(serving)).count_total
        });
        is_ready.recv().expect("a server");
        let client = client(&path, counted);
        drop(stop);
        (server.join().expect("no panic"), client)
    })
}

#[test]
fn a_unary_call_allocates_little_on_either_side() {
    let (idle, _) = both(0);
    let (server, client) = both(COUNTED);
    let server = server.saturating_sub(idle);
    println!("{COUNTED} calls: {client} allocations of the client, {server} of the server");
    // Few of the calls meet a table or a buffer that grows.
    let most = MOST * COUNTED + COUNTED / 100;
    assert!(client <= most, "client: {client}");
    assert!(server <= most, "server: {server}");
    assert!(client > 0 && server > 0, "nothing was counted");
}
