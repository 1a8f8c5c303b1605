//! Messages that are sent from where they are.

use bytes::Bytes;
use ipc::blocking;
use ipc::testing::{End, Split, pair};
use ipc::{Call, Client, Code, Handling, Incoming, Method, Policy, Service, Shape, Status};

use crate::support::*;
use crate::unary::Bomb;

/// Bytes, which are not copied on their way out.
#[derive(Clone, PartialEq, prost::Message)]
struct Blob {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

/// One unlike those of other seeds.
fn blob(size: usize, seed: usize) -> Blob {
    let data = (seed..).map(|at| (at % 251) as u8).take(size).collect();
    Blob { data }
}

static METHODS: [Method; 2] = [
    Method::new("test.Blobs/Echo", Shape::Unary),
    Method::new("test.Blobs/Bomb", Shape::Unary),
];

struct Blobs;

impl Service for Blobs {
    fn name(&self) -> &'static str {
        "test.Blobs"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn schema(&self) -> u64 {
        0
    }

    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        if method == 0 {
            incoming.unary(|call: Call<Blob>| async { Ok(call.body) })
        } else {
            incoming.unary(|_: Call<Blob>| async { Ok::<_, Status>(Bomb(20_000)) })
        }
    }
}

const SIZES: [usize; 7] = [0, 8_000, 16_384, 20_000, 131_060, 131_072, 1_000_000];

async fn echoes(client: &Client, size: usize, seed: usize) {
    let sent = blob(size, seed);
    let call = client.unary::<_, Blob>(&METHODS[0], sent.clone());
    assert!(soon(call.into_future()).await.unwrap() == sent, "{size}");
}

#[tokio::test]
async fn bytes_of_any_size_arrive_as_they_were() {
    let daemon = Daemon::start_with(|server| server.service(Blobs));
    let client = daemon.connect().await;
    for size in SIZES {
        echoes(&client, size, 0).await;
    }
    for split in [Split::Bytes(1_000), Split::Random(7)] {
        let (near, _far) = pair(End::new(), End::new().service(Blobs), split)
            .await
            .unwrap();
        for size in [16_384, 20_000, 200_000] {
            echoes(&near, size, 0).await;
        }
    }
}

#[tokio::test]
async fn calls_with_bytes_do_not_mix() {
    let daemon = Daemon::start_with(|server| server.service(Blobs));
    let client = daemon.connect().await;
    let calls = (0..40).map(|at| {
        let client = client.clone();
        async move { echoes(&client, SIZES[at % SIZES.len()], at).await }
    });
    tokio::task::JoinSet::from_iter(calls).join_all().await;
}

#[tokio::test]
async fn bytes_arrive_from_a_client_without_a_runtime() {
    let daemon = Daemon::start_with(|server| server.service(Blobs));
    let path = daemon.path.clone();
    let calls = move || {
        let client = blocking::Client::builder(path).trust(Policy::any_user());
        let mut client = client.connect().unwrap();
        for size in SIZES {
            let sent = blob(size, 0);
            let call = client.unary::<_, Blob>(&METHODS[0], sent.clone());
            assert!(call.send().unwrap() == sent, "{size}");
        }
    };
    soon(tokio::task::spawn_blocking(calls)).await.unwrap();
}

#[tokio::test]
async fn a_large_answer_that_panics_ends_its_call_alone() {
    let (near, _far) = pair(End::new(), End::new().service(Blobs), Split::Whole)
        .await
        .unwrap();
    let bomb = near.unary::<_, Blob>(&METHODS[1], blob(0, 0)).into_future();
    let failed = soon(bomb).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unknown);
    echoes(&near, 20_000, 0).await;
}
