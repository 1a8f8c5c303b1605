//! Generates the services from their schemas.

fn main() -> Result<(), ipc_build::Error> {
    ipc_build::Config::new()
        .descriptors(true)
        .prost(|prost| {
            prost.bytes(["."]);
        })
        .compile(
            &[
                "proto/echo.proto",
                "proto/reflection.proto",
                "proto/bench.proto",
            ],
            &["proto"],
        )
}
