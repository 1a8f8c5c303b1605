//! What a build script and its user rely on beyond the text of the code.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use prost_reflect::{DescriptorPool, FileDescriptor};

type Tested = Result<(), Box<dyn Error>>;

const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");

/// Generates the code of one file and returns it.
fn generate(text: &str) -> Result<String, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let proto = folder.path().join("user.proto");
    fs::write(&proto, text)?;
    ipc_build::Config::new()
        .out_dir(folder.path())
        .compile(&[&proto], &[folder.path()])?;
    Ok(fs::read_to_string(folder.path().join("user.rs"))?)
}

/// The schema hash in the code of `text`.
fn schema(text: &str) -> Result<String, Box<dyn Error>> {
    let code = generate(text)?;
    let (_, rest) = code
        .split_once("pub const JOBS_SCHEMA: ::core::primitive::u64 = ")
        .ok_or("no schema")?;
    let (hash, _) = rest.split_once(';').ok_or("no end")?;
    Ok(hash.to_owned())
}

const JOBS: &str = r#"
syntax = "proto3";
package user;
import "ipc/options.proto";
import "google/protobuf/empty.proto";
service Jobs {
  rpc Submit(Request) returns (google.protobuf.Empty);
}
message Request {
  string name = 1;
  Kind kind = 2;
  Inner inner = 3;
  message Inner { Request again = 1; uint32 depth = 2; }
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_ONCE = 1; }
message Unrelated { string name = 1; }
"#;

#[test]
fn what_does_not_change_the_bytes_does_not_change_the_schema() -> Tested {
    let hash = schema(JOBS)?;
    for (from, to) in [
        ("service Jobs", "// Says something.\nservice Jobs"),
        (
            "Empty);",
            "Empty) { option (ipc.access) = ROOT; option deprecated = true; }",
        ),
        (
            "Empty);",
            "Empty) { option idempotency_level = IDEMPOTENT; }",
        ),
        (
            "string name = 1;\n",
            "string name = 1 [deprecated = true, json_name = \"n\"];\n",
        ),
        ("string name = 1;\n", "reserved 9;\n string name = 1;\n"),
        ("message Unrelated { string", "message Unrelated { bytes"),
        ("import \"ipc/options.proto\";", ""),
    ] {
        let changed = JOBS.replacen(from, to, 1);
        assert_ne!(changed, JOBS, "{from}");
        assert_eq!(schema(&changed)?, hash, "{to}");
    }
    Ok(())
}

#[test]
fn what_changes_the_bytes_or_the_calls_changes_the_schema() -> Tested {
    let mut hashes = vec![schema(JOBS)?];
    for (from, to) in [
        ("rpc Submit", "rpc Enqueue"),
        ("(Request)", "(stream Request)"),
        ("Empty);", "Empty) { option (ipc.one_way) = true; }"),
        ("string name = 1;\n", "string title = 1;\n"),
        ("string name = 1;\n", "string name = 4;\n"),
        ("string name = 1;\n", "bytes name = 1;\n"),
        ("string name = 1;\n", "repeated string name = 1;\n"),
        ("uint32 depth = 2", "uint64 depth = 2"),
        ("KIND_ONCE = 1", "KIND_ONCE = 2"),
        (
            "rpc Submit",
            "rpc Other(Request) returns (Request); rpc Submit",
        ),
    ] {
        let changed = JOBS.replacen(from, to, 1);
        assert_ne!(changed, JOBS, "{from}");
        hashes.push(schema(&changed)?);
    }
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "each change makes a hash of its own");
    Ok(())
}

/// Things that the other protos do not use, with no comment anywhere.
const RARE: &str = r#"
syntax = "proto2";
package user;
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional string note = 50001; }
message Outer {
  extensions 100 to 199;
  optional group Part = 1 { required string name = 1; }
  oneof choice { string one = 2; Inner two = 3; }
  message Inner {
    map<string, Level> levels = 1;
    oneof choice { bool yes = 2; }
    enum Level { option allow_alias = true; NONE = 0; ZERO = 0; }
    extend Outer { optional int32 more = 100; }
  }
  reserved "gone";
}
extend Outer { optional Outer.Inner other = 101; }
service Jobs { rpc Get(Outer.Inner) returns (Outer) { option idempotency_level = IDEMPOTENT; } }
"#;

#[test]
fn rare_parts_of_the_language_are_generated_and_documented() -> Tested {
    let code = generate(RARE)?;
    for wanted in [
        "/// The message `user.Outer.Part`.",
        "/// The message `user.Outer.Inner`.",
        "/// The enum `user.Outer.Inner.Level`.",
        "/// Field 1, `levels`.",
        "/// At most one field of the oneof `choice`.",
    ] {
        assert!(code.contains(wanted), "{wanted}");
    }
    Ok(())
}

#[test]
fn generating_twice_gives_the_same_bytes() -> Tested {
    assert_eq!(generate(JOBS)?, generate(JOBS)?);
    Ok(())
}

#[test]
fn code_that_did_not_change_is_not_written_again() -> Tested {
    let folder = tempfile::tempdir()?;
    let (proto, code) = (
        folder.path().join("user.proto"),
        folder.path().join("user.rs"),
    );
    let generate = |text: &str| -> Result<(u64, SystemTime), Box<dyn Error>> {
        fs::write(&proto, text)?;
        ipc_build::Config::new()
            .out_dir(folder.path())
            .compile(&[&proto], &[folder.path()])?;
        let about = fs::metadata(&code)?;
        Ok((about.ino(), about.modified()?))
    };
    let (file, _) = generate(JOBS)?;
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::options()
        .write(true)
        .open(&code)?
        .set_modified(long_ago)?;
    assert_eq!(generate(JOBS)?, (file, long_ago));
    let (_, written) = generate(&JOBS.replace("rpc Submit", "rpc Enqueue"))?;
    assert_ne!(written, long_ago);
    Ok(())
}

#[test]
fn the_options_generate_no_code_of_their_own() -> Tested {
    let folder = tempfile::tempdir()?;
    let proto = folder.path().join("user.proto");
    fs::write(&proto, JOBS)?;
    let out = tempfile::tempdir()?;
    ipc_build::Config::new()
        .out_dir(out.path())
        .compile(&[&proto], &[folder.path()])?;
    let files: Vec<_> = fs::read_dir(out.path())?.collect::<Result<_, _>>()?;
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].file_name(), "user.rs");
    Ok(())
}

#[test]
fn prost_can_be_configured_beneath() -> Tested {
    let out = tempfile::tempdir()?;
    ipc_build::Config::new()
        .out_dir(out.path())
        .prost(|prost| {
            prost.bytes(["."]);
        })
        .compile(&[format!("{PROTOS}/jobs.proto")], &[PROTOS])?;
    let code = fs::read_to_string(out.path().join("example.jobs.v1.rs"))?;
    assert!(code.contains("pub data: ::prost::bytes::Bytes"));
    Ok(())
}

#[test]
fn a_further_include_folder_serves_imports() -> Tested {
    let folder = tempfile::tempdir()?;
    let proto = folder.path().join("user.proto");
    fs::write(
        &proto,
        "syntax = \"proto3\"; package user; import \"shared/types.proto\";",
    )?;
    ipc_build::Config::new()
        .include(PROTOS)
        .out_dir(folder.path())
        .compile(&[&proto], &[folder.path()])?;
    assert!(folder.path().join("shared.v1.rs").exists());
    Ok(())
}

#[test]
fn the_schema_as_data_stands_alone_and_keeps_the_options_of_this_crate() -> Tested {
    let out = tempfile::tempdir()?;
    ipc_build::Config::new()
        .descriptors(true)
        .out_dir(out.path())
        .compile(&[format!("{PROTOS}/jobs.proto")], &[PROTOS])?;
    let set = fs::read(out.path().join("example.jobs.v1.binpb"))?;
    let pool = DescriptorPool::decode(set.as_slice())?;
    let files: Vec<_> = pool.files().map(|file| file.name().to_owned()).collect();
    let expected = [
        "google/protobuf/empty.proto",
        "google/protobuf/timestamp.proto",
        "google/protobuf/descriptor.proto",
        "ipc/options.proto",
        "jobs.proto",
    ];
    assert_eq!(files, expected);
    let service = pool.get_service_by_name("example.jobs.v1.Jobs");
    let purge = service.ok_or("no service")?.methods().nth(2);
    let access = pool
        .get_extension_by_name("ipc.access")
        .ok_or("no access")?;
    let options = purge.ok_or("no method")?.options();
    let same_user = prost_reflect::Value::EnumNumber(1);
    assert_eq!(*options.get_extension(&access), same_user);
    let comments = |file: FileDescriptor| file.file_descriptor_proto().source_code_info.is_some();
    assert!(!pool.files().any(comments));
    Ok(())
}

#[test]
fn a_package_without_a_service_has_no_schema_as_data() -> Tested {
    let out = tempfile::tempdir()?;
    ipc_build::Config::new()
        .descriptors(true)
        .out_dir(out.path())
        .compile(&[format!("{PROTOS}/edge.proto")], &[PROTOS])?;
    let code = |name: &str| fs::read_to_string(out.path().join(name));
    assert!(code("_.rs")?.contains("\"_.binpb\""));
    assert!(!code("shared.v1.rs")?.contains("FILE_DESCRIPTOR_SET"));
    let set = fs::read(out.path().join("_.binpb"))?;
    let pool = DescriptorPool::decode(set.as_slice())?;
    assert!(pool.get_file_by_name("shared/types.proto").is_some());
    assert!(!out.path().join("shared.v1.binpb").exists());
    Ok(())
}

#[test]
fn packages_that_import_each_other_can_be_included_as_nested_modules() -> Tested {
    let folder = tempfile::tempdir()?;
    let head = "syntax = \"proto3\";\npackage";
    let jobs = format!(
        "{head} jobs.v1;\nimport \"shared.proto\";\nmessage Job {{ shared.Token by = 1; }}\n\
         service Jobs {{ rpc Get(shared.Token) returns (Job); }}\n"
    );
    let proto = folder.path().join("jobs.proto");
    fs::write(&proto, jobs)?;
    let shared = format!("{head} shared;\nmessage Token {{}}\n");
    fs::write(folder.path().join("shared.proto"), shared)?;
    ipc_build::Config::new()
        .prost(|prost| {
            prost.include_file("mod.rs");
        })
        .out_dir(folder.path())
        .compile(&[&proto], &[folder.path()])?;
    let read = |name: &str| fs::read_to_string(folder.path().join(name));
    let code = read("jobs.v1.rs")?;
    assert!(code.contains("::ipc::Call<super::super::shared::Token>"));
    let modules = read("mod.rs")?;
    let modules: String = modules.split_whitespace().collect();
    let nested =
        "pubmodjobs{pubmodv1{include!(\"jobs.v1.rs\");}}pubmodshared{include!(\"shared.rs\");}";
    assert!(modules.ends_with(nested), "{modules}");
    Ok(())
}

/// Set for a run of this test binary that plays the build script.
const AS_BUILD_SCRIPT: &str = "IPC_BUILD_TEST_OUT_DIR";

#[test]
fn cargo_is_told_every_file_that_was_read() -> Tested {
    if env::var_os(AS_BUILD_SCRIPT).is_some() {
        ipc_build::compile_protos(Path::new(PROTOS).join("edge.proto"))?;
        return Ok(());
    }
    let out = tempfile::tempdir()?;
    let output = Command::new(env::current_exe()?)
        .args([
            "--exact",
            "cargo_is_told_every_file_that_was_read",
            "--nocapture",
        ])
        .env(AS_BUILD_SCRIPT, "1")
        .env("OUT_DIR", out.path())
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let told: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("cargo:rerun-if-changed="))
        .map(|(_, path)| path)
        .collect();
    let read = ["shared/types.proto", "edge.proto"].map(|file| format!("{PROTOS}/{file}"));
    assert_eq!(told, read);
    Ok(())
}
