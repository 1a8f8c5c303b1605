//! Generates the service from its schema.

fn main() -> Result<(), ipc_build::Error> {
    ipc_build::Config::new()
        // What is measured here is the asynchronous client.
        .blocking(false)
        .prost(|prost| {
            prost.bytes(["."]);
        })
        .compile(&["proto/bench.proto"], &["proto"])
}
