//! Generates the service from its schema.

fn main() -> Result<(), ipc_build::Error> {
    ipc_build::Config::new()
        // The pair is asynchronous throughout.
        .blocking(false)
        .compile(&["proto/drift.proto"], &["proto"])
}
