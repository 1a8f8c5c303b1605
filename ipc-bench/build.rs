//! Generates the service from its schema.

fn main() -> Result<(), ipc_build::Error> {
    ipc_build::Config::new()
        .prost(|prost| {
            prost.bytes(["."]);
        })
        .compile(&["proto/bench.proto"], &["proto"])
}
