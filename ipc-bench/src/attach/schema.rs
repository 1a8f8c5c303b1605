//! What a daemon offers, as its descriptors say.

use std::fs;
use std::path::Path;

use bytes::{Buf, Bytes};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde::de::DeserializeSeed;
use serde_path_to_error::{Deserializer, Track};

use super::Error;

/// What a daemon offers, as its descriptors say.
#[derive(Debug)]
pub(crate) struct Schema {
    /// One for each descriptor set: two of them may mean different files by one name.
    pools: Vec<DescriptorPool>,
}

impl Schema {
    /// The schema in the descriptor sets that a daemon tells.
    pub(crate) fn told(sets: Vec<Bytes>) -> Result<Self, Error> {
        let pools = sets
            .into_iter()
            .map(|set| decode(set, "what the daemon tells"));
        let pools = pools.collect::<Result<_, _>>()?;
        Ok(Self { pools })
    }

    /// The schema in a file, as `protoc --include_imports --descriptor_set_out` writes it.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let pools = vec![decode(bytes.as_slice(), &path.display().to_string())?];
        Ok(Self { pools })
    }

    /// A method that takes one message and gives one, by its path, `package.Service/Method`.
    pub(crate) fn unary(&self, path: &str) -> Result<MethodDescriptor, Error> {
        let Some(method) = self.methods().find(|method| path_of(method) == path) else {
            let mut nearest = self.methods().map(|m| path_of(&m)).collect::<Vec<_>>();
            let distance = |name: &String| strsim::damerau_levenshtein(name, path);
            nearest.sort_by_cached_key(distance);
            let wanted = path.to_owned();
            return Err(Error::NoMethod { wanted, nearest });
        };
        if method.is_client_streaming() || method.is_server_streaming() {
            let method = path.to_owned();
            return Err(Error::Streams { method });
        }
        Ok(method)
    }

    fn methods(&self) -> impl Iterator<Item = MethodDescriptor> {
        let services = self.pools.iter().flat_map(DescriptorPool::services);
        services.flat_map(|service| service.methods().collect::<Vec<_>>())
    }
}

/// Who may call a method, as `option (ipc.access)` says it.
pub(crate) fn access(method: &MethodDescriptor) -> Option<String> {
    let extension = method.parent_pool().get_extension_by_name("ipc.access")?;
    let number = method
        .options()
        .get_extension(&extension)
        .as_enum_number()?;
    let value = extension.kind().as_enum()?.get_value(number)?;
    Some(value.name().to_owned())
}

/// The bytes of a message from its JSON, as protobuf maps one to the other.
pub(crate) fn encode(message: &MessageDescriptor, json: &str) -> Result<Bytes, Error> {
    let mut track = Track::new();
    let mut text = serde_json::Deserializer::from_str(json);
    let read = message
        .clone()
        .deserialize(Deserializer::new(&mut text, &mut track))
        .and_then(|message: DynamicMessage| text.end().map(|()| message));
    let read = read.map_err(|source| Error::Body {
        message: message.full_name().to_owned(),
        place: track.path().to_string(),
        source,
    })?;
    Ok(read.encode_to_vec().into())
}

fn decode(bytes: impl Buf, origin: &str) -> Result<DescriptorPool, Error> {
    DescriptorPool::decode(bytes).map_err(|source| Error::Descriptors {
        origin: origin.to_owned(),
        source,
    })
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: &str = r#"
        syntax = "proto3";
        package user;
        import "google/protobuf/duration.proto";
        service Jobs {
          rpc Submit(Request) returns (Reply);
          rpc Watch(Request) returns (stream Reply);
          rpc Upload(stream Request) returns (Reply);
        }
        message Request {
          string name = 1;
          repeated Step steps = 2;
          google.protobuf.Duration within = 3;
          int64 size = 4;
        }
        message Step { Kind kind = 1; bytes data = 2; }
        enum Kind { NONE = 0; COPY = 1; }
        message Reply {}
    "#;

    fn jobs() -> Schema {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("user.proto"), JOBS).unwrap();
        let set = protox::compile(["user.proto"], [folder.path()]).unwrap();
        let bench = Bytes::from_static(ipc_bench::proto::bench::FILE_DESCRIPTOR_SET);
        Schema::told(vec![bench, set.encode_to_vec().into()]).unwrap()
    }

    fn request() -> MessageDescriptor {
        jobs().unary("user.Jobs/Submit").unwrap().input()
    }

    #[test]
    fn a_method_is_found_in_any_of_the_sets() {
        assert_eq!(jobs().unary("user.Jobs/Submit").unwrap().name(), "Submit");
        assert_eq!(jobs().unary("ipc.bench.Echo/Echo").unwrap().name(), "Echo");
    }

    #[test]
    fn a_method_that_is_not_there_is_answered_with_the_nearest() {
        let error = jobs().unary("user.Jobs/submit").unwrap_err().to_string();
        let begin = "the schema has no method user.Jobs/submit: it has user.Jobs/Submit, ";
        assert!(error.starts_with(begin), "{error}");
        let error = Schema::told(vec![]).unwrap().unary("a").unwrap_err();
        assert_eq!(error.to_string(), "the schema has no method a: it has none");
    }

    #[test]
    fn a_method_that_streams_is_refused() {
        for method in ["user.Jobs/Watch", "user.Jobs/Upload"] {
            let error = jobs().unary(method).unwrap_err();
            assert!(matches!(error, Error::Streams { .. }), "{error}");
        }
    }

    #[test]
    fn who_may_call_is_known_where_the_schema_says_it() {
        let schema = jobs();
        let echo = schema.unary("ipc.bench.Echo/Echo").unwrap();
        assert_eq!(access(&echo).unwrap(), "SAME_USER");
        assert_eq!(access(&schema.unary("user.Jobs/Submit").unwrap()), None);
    }

    #[test]
    fn json_becomes_the_bytes_that_protobuf_maps_it_to() {
        let json = r#"{"steps": [{"kind": "COPY", "data": "AQI="}], "within": "2s", "size": "3"}"#;
        let bytes = encode(&request(), json).unwrap();
        let expected = b"\x12\x06\x08\x01\x12\x02\x01\x02\x1a\x02\x08\x02\x20\x03";
        assert_eq!(bytes.as_ref(), expected);
        assert!(encode(&request(), "{}").unwrap().is_empty());
    }

    #[test]
    fn a_body_that_does_not_fit_says_where() {
        for (json, place) in [
            (r#"{"name": 1}"#, "name"),
            (r#"{"steps": [{}, {"kind": "MOVE"}]}"#, "steps[1].kind"),
            (r#"{"steps": [{"data": "%"}]}"#, "steps[0].data"),
            (r#"{"title": "x"}"#, "."),
            (r#"{"steps": [{}, {"what": 1}]}"#, "steps[1]"),
            (r#"[]"#, "."),
            (r#"{"name": "x""#, "?"),
            (r#"{} {}"#, "."),
        ] {
            let Error::Body {
                place: found,
                message,
                ..
            } = encode(&request(), json).unwrap_err()
            else {
                panic!("{json}");
            };
            assert_eq!(
                (message.as_str(), found.as_str()),
                ("user.Request", place),
                "{json}"
            );
        }
    }

    #[test]
    fn what_are_no_descriptors_is_refused_with_its_origin() {
        let error = Schema::told(vec![Bytes::from_static(b"\xff")]).unwrap_err();
        let text = "what the daemon tells is no encoded google.protobuf.FileDescriptorSet";
        assert_eq!(error.to_string(), text);
        let error = Schema::read(Path::new("/no/such/file")).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }));
    }
}
