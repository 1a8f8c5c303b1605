//! Generates the services from their schemas, and says which versions are measured.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
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
        )?;
    #[cfg(feature = "peers")]
    peers()?;
    #[cfg(feature = "cli")]
    versions()?;
    Ok(())
}

#[cfg(feature = "peers")]
fn peers() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/peer.proto");
    let schema = protox::compile(["proto/peer.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(schema)?;
    Ok(())
}

/// `VERSION_TONIC` and so on, as they are locked.
#[cfg(feature = "cli")]
fn versions() -> Result<(), Box<dyn Error>> {
    const LOCK: &str = "../Cargo.lock";
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = std::fs::read_to_string(LOCK)?.parse::<toml::Table>()?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    for name in ["tarpc", "tokio", "tonic", "ttrpc", "zbus"] {
        let of_name = packages.into_iter().flatten().filter_map(|package| {
            let text = |key| package.get(key)?.as_str();
            (text("name") == Some(name)).then(|| text("version"))?
        });
        let [version] = of_name.collect::<Vec<_>>()[..] else {
            return Err(format!("{LOCK} has no version of {name}, or several").into());
        };
        println!("cargo::rustc-env=VERSION_{}={version}", name.to_uppercase());
    }
    Ok(())
}
