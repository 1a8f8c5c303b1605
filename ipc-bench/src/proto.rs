//! The services that are measured: the library's echo, and what only this program serves.

#[expect(unreachable_pub, reason = "generated for a library, used in a binary")]
#[expect(dead_code, reason = "both clients are generated for each service")]
mod load {
    include!(concat!(env!("OUT_DIR"), "/ipc.bench.load.rs"));
}

pub(crate) use ipc_bench::proto::bench::{
    Echo, EchoBlockingClient, EchoClient, EchoServer, Payload,
};

pub(crate) use self::load::*;
