//! One group for each stage of a call above the wire, whose own stages are in `ipc/benches/wire.rs`:
//! message, handshake, call in memory, call on a socket. What a stage adds is its difference to
//! the one before.
#![expect(missing_docs, reason = "a macro of criterion makes a public function")]

use std::future::{Future, IntoFuture as _};
use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipc::testing::{End, Split, pair};
use ipc::{Client, Server, SocketPath, blocking};
use ipc_bench::proto::bench::{EchoBlockingClient, EchoClient, Payload};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

const SIZES: [(&str, u64); 3] = [("64B", 64), ("4KiB", 4 << 10), ("64KiB", 64 << 10)];

fn payload(size: u64) -> Payload {
    let size = usize::try_from(size).expect("it fits");
    Payload {
        data: Bytes::from(vec![7; size]),
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// The message alone: what generated code does.
fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("message");
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size));
        let payload = payload(size);
        group.bench_function(BenchmarkId::new("encode", name), |b| {
            let mut out = BytesMut::with_capacity(payload.encoded_len());
            b.iter(|| {
                out.clear();
                black_box(&payload).encode(&mut out).expect("room");
                black_box(out.len())
            });
        });
        let encoded = Bytes::from(payload.encode_to_vec());
        group.bench_function(BenchmarkId::new("decode", name), |b| {
            b.iter(|| Payload::decode(encoded.clone()).expect("what was encoded"));
        });
    }
    group.finish();
}

/// Both sides' handshake, in memory.
fn handshake(c: &mut Criterion) {
    let runtime = runtime();
    c.bench_function("handshake", |b| {
        b.iter(|| runtime.block_on(near_and_far()));
    });
}

async fn near_and_far() -> (Client, Client) {
    let far = End::new().service(ipc_bench::echo());
    pair(End::new(), far, Split::Whole).await.expect("a pair")
}

/// Calls between two sides in one thread, without a socket: connection, engine and service.
fn memory(c: &mut Criterion) {
    let runtime = runtime();
    let (near, _far) = runtime.block_on(near_and_far());
    calls(c, "call in memory", &runtime, &EchoClient::new(near));
}

/// The same over a socket: system calls, but no switch between processes.
fn socket(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let path = SocketPath::at(folder.path().join("s")).expect("a short path");
    let (stop, serving) = runtime.block_on(async { serve(&path) });
    let serving = runtime.spawn(serving);
    let client = runtime.block_on(Client::builder(path).connect());
    let client = EchoClient::new(client.expect("a server"));
    calls(c, "call on a socket", &runtime, &client);
    drop((client, stop));
    runtime.block_on(serving).expect("no panic");
}

/// The blocking client, and a server in another thread.
fn blocking(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = SocketPath::at(folder.path().join("s")).expect("a short path");
    let runtime = runtime();
    let (stop, serving) = runtime.block_on(async { serve(&path) });
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(serving));
        let client = blocking::Client::builder(path).connect();
        let mut client = EchoBlockingClient::new(client.expect("a server"));
        let mut group = c.benchmark_group("blocking call");
        for (name, size) in SIZES {
            group.throughput(Throughput::Bytes(size));
            let payload = payload(size);
            group.bench_function(name, |b| {
                b.iter(|| client.echo(payload.clone()).send().expect("an answer"));
            });
        }
        group.finish();
        drop((client, stop));
    });
}

/// A server that listens, and who ends it when dropped.
fn serve(path: &SocketPath) -> (oneshot::Sender<()>, impl Future<Output = ()> + use<>) {
    let server = Server::builder(path.clone()).service(ipc_bench::echo());
    let server = server.bind().expect("a free path");
    let (stop, stopped) = oneshot::channel();
    let serving = async {
        server.serve_until(stopped).await.expect("it listens");
    };
    (stop, serving)
}

fn calls(c: &mut Criterion, name: &str, runtime: &Runtime, client: &EchoClient) {
    let mut group = c.benchmark_group(name);
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size));
        let payload = payload(size);
        group.bench_function(name, |b| {
            b.iter(|| {
                let reply = runtime.block_on(client.echo(payload.clone()).into_future());
                reply.expect("an answer")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, message, handshake, memory, socket, blocking);
criterion_main!(benches);
