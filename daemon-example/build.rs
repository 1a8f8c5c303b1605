//! Generates the service from its schema, and the one the README shows.

fn main() -> Result<(), ipc_build::Error> {
    ipc_build::compile_protos("proto/jobs.proto")?;
    ipc_build::Config::new()
        // The pair is asynchronous throughout.
        .blocking(false)
        .compile(&["proto/drift.proto"], &["proto"])
}
