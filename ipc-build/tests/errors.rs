//! Faults in proto files are refused with a message that says where and what.

use std::error::Error;
use std::fs;

type Tested = Result<(), Box<dyn Error>>;

/// Generates `user.proto` with the given text and returns how it was refused.
fn refusal(text: &str) -> Result<String, Box<dyn Error>> {
    refusal_of(&[("user.proto", text)])
}

/// As [`refusal`], with further files; the first one is compiled.
fn refusal_of(files: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
        fs::write(path, text)?;
    }
    let compiled = ipc_build::Config::new()
        .out_dir(folder.path())
        .compile(&[folder.path().join(files[0].0)], &[folder.path()]);
    match compiled {
        Ok(()) => Err("the proto was accepted".into()),
        Err(error) => Ok(error.to_string()),
    }
}

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto/small.proto");

const HEAD: &str = "syntax = \"proto3\";\npackage user;\n\
    import \"google/protobuf/empty.proto\";\nimport \"ipc/options.proto\";\n\
    message Request {}\nmessage Reply {}\n";

#[test]
fn a_one_way_method_that_streams_is_refused() -> Tested {
    for (input, output) in [
        ("stream Request", "google.protobuf.Empty"),
        ("Request", "stream google.protobuf.Empty"),
        ("stream Request", "stream google.protobuf.Empty"),
    ] {
        let text = format!(
            "{HEAD}service Jobs {{\n  rpc Note({input}) returns ({output}) {{\n    \
             option (ipc.one_way) = true;\n  }}\n}}\n"
        );
        assert_eq!(
            refusal(&text)?,
            "user.proto:8:3: method Note of service user.Jobs cannot be one_way: it must not stream"
        );
    }
    Ok(())
}

#[test]
fn a_one_way_method_that_returns_something_is_refused() -> Tested {
    let text = format!(
        "{HEAD}service Jobs {{\n  rpc Note(Request) returns (Reply) {{\n    \
         option (ipc.one_way) = true;\n  }}\n}}\n"
    );
    assert_eq!(
        refusal(&text)?,
        "user.proto:8:3: method Note of service user.Jobs cannot be one_way: \
         it must return google.protobuf.Empty"
    );
    Ok(())
}

#[test]
fn a_method_that_is_one_way_by_false_is_an_ordinary_one() -> Tested {
    let text = format!(
        "{HEAD}service Jobs {{\n  rpc Note(Request) returns (Reply) {{\n    \
         option (ipc.one_way) = false;\n  }}\n}}\n"
    );
    let accepted = refusal(&text).unwrap_err();
    assert_eq!(accepted.to_string(), "the proto was accepted");
    Ok(())
}

#[test]
fn a_syntax_error_names_file_line_and_column() -> Tested {
    let text = "syntax = \"proto3\";\nmessage Request {\n  string = 1;\n}\n";
    assert_eq!(
        refusal(text)?,
        "user.proto:3:10: expected an identifier, but found '='"
    );
    Ok(())
}

#[test]
fn an_unknown_type_names_file_line_and_column() -> Tested {
    let text = "syntax = \"proto3\";\nservice Jobs {\n  rpc Get(Missing) returns (Missing);\n}\n";
    assert_eq!(
        refusal(text)?,
        "user.proto:3:11: name 'Missing' is not defined"
    );
    Ok(())
}

#[test]
fn a_missing_import_names_the_line_that_asks_for_it() -> Tested {
    let text = "syntax = \"proto3\";\n\nimport \"other/missing.proto\";\n";
    assert_eq!(
        refusal(text)?,
        "user.proto:3:1: import 'other/missing.proto' not found"
    );
    Ok(())
}

#[test]
fn a_missing_proto_is_named() {
    let error = ipc_build::compile_protos("no/such/jobs.proto").unwrap_err();
    assert_eq!(error.to_string(), "no/such/jobs.proto: no such file");
}

#[test]
fn a_proto_outside_of_every_include_folder_is_named() -> Tested {
    let folder = tempfile::tempdir()?;
    let error = ipc_build::Config::new()
        .out_dir(folder.path())
        .compile(&[SMALL], &[folder.path()])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("file '{SMALL}' is not in any include path")
    );
    Ok(())
}

#[test]
fn a_value_that_the_option_does_not_have_is_refused() -> Tested {
    let text = format!(
        "{HEAD}service Jobs {{\n  rpc Get(Request) returns (Reply) {{\n    \
         option (ipc.access) = NOBODY;\n  }}\n}}\n"
    );
    assert_eq!(
        refusal(&text)?,
        "user.proto:9:5: expected a value of type 'ipc.Access' for option '(ipc.access)', \
         but found 'NOBODY'"
    );
    Ok(())
}

/// A copy of the options that knows an access level which this version does not.
const NEWER_OPTIONS: &str = "syntax = \"proto3\";\npackage ipc;\n\
    import \"google/protobuf/descriptor.proto\";\n\
    enum Access { ANY = 0; NOBODY = 9; }\n\
    extend google.protobuf.MethodOptions { Access access = 51470; bool one_way = 51471; }\n";

#[test]
fn an_access_rule_that_cannot_be_read_is_refused_and_not_skipped() -> Tested {
    let text = format!(
        "{HEAD}service Jobs {{\n  rpc Get(Request) returns (Reply) {{\n    \
         option (ipc.access) = NOBODY;\n  }}\n}}\n"
    );
    assert_eq!(
        refusal_of(&[("user.proto", &text), ("ipc/options.proto", NEWER_OPTIONS)])?,
        "user.proto:8:3: method Get of service user.Jobs: cannot read option (ipc.access)"
    );
    Ok(())
}

#[test]
fn two_names_that_are_one_in_rust_are_refused() -> Tested {
    for (items, expected) in [
        (
            "service Jobs { rpc GetIt(Request) returns (Reply); rpc get_it(Request) returns (Reply); }",
            "user.proto:7:52: method user.Jobs/get_it and method user.Jobs/GetIt \
             would both be named `get_it` in Rust; rename one of them",
        ),
        (
            "service Jobs { rpc New(Request) returns (Reply); rpc New_(Request) returns (Reply); }",
            "user.proto:7:50: method user.Jobs/New_ and method user.Jobs/New \
             would both be named `new` in Rust; rename one of them",
        ),
        (
            "service Jobs { rpc Client(Request) returns (Reply); rpc Client_(Request) returns (Reply); }",
            "user.proto:7:53: method user.Jobs/Client_ and method user.Jobs/Client \
             would both be named `client` in Rust; rename one of them",
        ),
        (
            "service FileJobs {}\nservice file_jobs {}",
            "user.proto:8:1: service file_jobs and service FileJobs \
             would both be named `FileJobs` in Rust; rename one of them",
        ),
        (
            "service Jobs {}\nservice JobsClient {}",
            "user.proto:8:1: service JobsClient and service Jobs \
             would both be named `JobsClient` in Rust; rename one of them",
        ),
        (
            "service Jobs {}\nmessage JobsServer {}",
            "user.proto:7:1: service Jobs and message JobsServer \
             would both be named `JobsServer` in Rust; rename one of them",
        ),
        (
            "service Jobs {}\nenum Jobs_ { NONE = 0; }",
            "user.proto:7:1: service Jobs and enum Jobs_ \
             would both be named `Jobs` in Rust; rename one of them",
        ),
        (
            "message JobState {}\nenum Job_State { NONE = 0; }",
            "user.proto:8:1: enum Job_State and message JobState \
             would both be named `JobState` in Rust; rename one of them",
        ),
        (
            "message Job { message At {}\nenum at { NONE = 0; } }",
            "user.proto:8:1: enum Job.at and message Job.At \
             would both be named `At` in Rust; rename one of them",
        ),
        (
            "message Job { string at_ = 1;\noneof at { string b = 2; } }",
            "user.proto:7:15: field Job.at_ and oneof Job.at \
             would both be named `at` in Rust; rename one of them",
        ),
        (
            "enum Kind { FOO_BAR = 0;\nFooBar = 1; }",
            "user.proto:8:1: value Kind.FooBar and value Kind.FOO_BAR \
             would both be named `FooBar` in Rust; rename one of them",
        ),
    ] {
        assert_eq!(refusal(&format!("{HEAD}{items}\n"))?, expected, "{items}");
    }
    Ok(())
}

#[test]
fn a_service_name_used_twice_in_a_package_of_two_files_is_refused() -> Tested {
    let first = "syntax = \"proto3\";\npackage user;\nimport \"b.proto\";\nservice Jobs {}\n";
    let second = "syntax = \"proto3\";\npackage user;\nservice jobs {}\n";
    assert_eq!(
        refusal_of(&[("user.proto", first), ("b.proto", second)])?,
        "user.proto:4:1: service Jobs and service jobs \
         would both be named `Jobs` in Rust; rename one of them"
    );
    Ok(())
}

#[test]
fn a_name_used_twice_in_packages_that_share_a_module_is_refused() -> Tested {
    let first = "syntax = \"proto3\";\npackage user.V1;\nimport \"b.proto\";\nmessage Jobs {}\n";
    let second = "syntax = \"proto3\";\npackage User.v1;\nmessage jobs {}\n";
    assert_eq!(
        refusal_of(&[("user.proto", first), ("b.proto", second)])?,
        "user.proto:4:1: message Jobs and message jobs \
         would both be named `Jobs` in Rust; rename one of them"
    );
    Ok(())
}

#[test]
fn what_gives_way_or_is_the_same_is_not_refused() -> Tested {
    let text = "syntax = \"proto3\";\npackage user;\nmessage Job {\n  message At {}\n  \
        oneof at { string a = 1; }\n  map<string, string> by_name = 2;\n  optional string note = 3;\n}\n\
        enum Kind { option allow_alias = true; NONE = 0; none = 0; }\n";
    let accepted = refusal(text).unwrap_err();
    assert_eq!(accepted.to_string(), "the proto was accepted");
    Ok(())
}

#[test]
fn two_methods_with_the_same_wire_id_are_refused() -> Tested {
    // Found by search: FNV-1a 32 of `collide.v1.Devices/<name>` is 0x897cd993 for both.
    let text = "syntax = \"proto3\";\npackage collide.v1;\nmessage M {}\nservice Devices {\n  \
        rpc DetachJobAccount(M) returns (M);\n  rpc Other(M) returns (M);\n  \
        rpc CopyNodeDomain(M) returns (M);\n}\n";
    assert_eq!(
        refusal(text)?,
        "user.proto:7:3: methods DetachJobAccount and CopyNodeDomain of service collide.v1.Devices \
         share the wire id 0x897cd993; rename one of them"
    );
    Ok(())
}

#[test]
fn cargo_shows_the_message_when_a_build_script_returns_the_error() {
    let error = ipc_build::compile_protos("no/such/jobs.proto").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_its_cause() {
    let error = ipc_build::Config::new()
        .out_dir("/dev/null/nowhere")
        .compile(
            &[SMALL],
            &[concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto")],
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write the generated code to /dev/null/nowhere"
    );
    assert_eq!(
        format!("{error:?}"),
        "cannot write the generated code to /dev/null/nowhere: Not a directory (os error 20)"
    );
}
