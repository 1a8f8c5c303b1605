//! `wire.proto` and the hand-written messages of `ipc::wire::messages` agree.
#![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::path::Path;

use bytes::Bytes;
use ipc::wire::messages::{
    CallHead, Cancel, Confirm, Credit, End, Entry, GoAway, Hello, PeerLimits, Ping, ServiceInfo,
    Welcome,
};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};

#[test]
fn each_message_of_the_file_is_that_of_the_code() {
    let pool = pool();
    agree(&pool, "Hello", &hello());
    agree(&pool, "Welcome", &welcome());
    agree(
        &pool,
        "Confirm",
        &Confirm {
            nonce: bytes(b"nonce"),
        },
    );
    agree(&pool, "PeerLimits", &limits());
    agree(&pool, "ServiceInfo", &service());
    agree(&pool, "CallHead", &call_head());
    agree(&pool, "Entry", &entry());
    agree(&pool, "End", &end());
    agree(&pool, "Cancel", &Cancel { code: 1 });
    agree(&pool, "Credit", &Credit { bytes: 2 });
    agree(&pool, "Ping", &Ping { opaque: 3 });
    agree(&pool, "GoAway", &go_away());
    // A message that this test forgets would be missing above.
    assert_eq!(
        pool.all_messages()
            .filter(|m| m.package_name() == "ipc.v1")
            .count(),
        12
    );
}

#[test]
fn the_names_of_the_file_are_those_of_the_code() {
    let pool = pool();
    let text = |name: &str, encoded: Vec<u8>| {
        let message = DynamicMessage::decode(descriptor(&pool, name), &encoded[..]).unwrap();
        let fields = message
            .fields()
            .map(|(field, value)| format!("{}={value}", field.name()));
        fields.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        text("PeerLimits", limits().encode_to_vec()),
        "max_frame=1 max_message=2 max_calls=3 initial_credit=4 max_metadata=5"
    );
    assert_eq!(
        text("CallHead", call_head().encode_to_vec()),
        "method=7 time_left=8 metadata=[{key:\"key\",value:\"value\"}] body=\"body\""
    );
    assert_eq!(
        text("End", end().encode_to_vec()),
        "code=9 message=\"text\" details=\"details\" metadata=[{key:\"key\",value:\"value\"}] unseen=true"
    );
    assert_eq!(
        text("Welcome", welcome().encode_to_vec()),
        "minor=6 limits={max_frame:1,max_message:2,max_calls:3,initial_credit:4,max_metadata:5} \
         services=[{name:\"a.B\",schema:11}] software=\"s/1\" \
         session=\"session\" nonce=\"nonce\""
    );
    assert_eq!(
        text("GoAway", go_away().encode_to_vec()),
        "code=12 message=\"text\" last_call=13"
    );
}

#[test]
fn absent_and_empty_differ_where_the_protocol_says_so() {
    let pool = pool();
    for (name, field) in [
        ("CallHead", "time_left"),
        ("CallHead", "body"),
        ("Hello", "limits"),
    ] {
        let field = descriptor(&pool, name).get_field_by_name(field).unwrap();
        assert!(field.supports_presence(), "{field:?}");
    }
    let empty = CallHead {
        body: Some(Bytes::new()),
        ..CallHead::default()
    };
    assert_ne!(empty.encode_to_vec(), CallHead::default().encode_to_vec());
}

#[test]
fn unknown_fields_are_ignored() {
    // EVO-1
    let mut encoded = go_away().encode_to_vec();
    // Field 1000, varint 1, and field 1001, three bytes.
    encoded.extend([0xc0, 0x3e, 0x01, 0xca, 0x3e, 0x03, 1, 2, 3]);
    assert_eq!(GoAway::decode(&encoded[..]), Ok(go_away()));
}

/// Both ways: what the code writes the file reads in full, and what the file writes the code
/// reads, to the same bytes.
fn agree<M: Message + Default + PartialEq>(pool: &DescriptorPool, name: &str, ours: &M) {
    let descriptor = descriptor(pool, name);
    let encoded = ours.encode_to_vec();
    let dynamic = DynamicMessage::decode(descriptor.clone(), &encoded[..]).unwrap();
    assert_eq!(
        dynamic.unknown_fields().count(),
        0,
        "{name}: a field the file does not have"
    );
    for field in descriptor.fields() {
        assert!(
            dynamic.has_field(&field),
            "{name}.{} is not set by the code",
            field.name()
        );
        check_value(name, &dynamic.get_field(&field));
    }
    let mut rebuilt = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let by_name = dynamic.get_field_by_name(field.name()).unwrap();
        let by_number = dynamic.get_field_by_number(field.number()).unwrap();
        assert_eq!(by_name, by_number);
        rebuilt.set_field_by_number(field.number(), by_name.into_owned());
    }
    assert_eq!(rebuilt.encode_to_vec(), encoded, "{name}");
    assert!(
        M::decode(&rebuilt.encode_to_vec()[..]).unwrap() == *ours,
        "{name}"
    );
}

/// A nested message has no unknown fields either.
fn check_value(name: &str, value: &Value) {
    match value {
        Value::Message(message) => {
            assert_eq!(message.unknown_fields().count(), 0, "{name}");
            assert_eq!(
                message.fields().count(),
                message.descriptor().fields().len(),
                "{name}"
            );
        }
        Value::List(values) => values.iter().for_each(|value| check_value(name, value)),
        _ => {}
    }
}

fn pool() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["ipc/v1/wire.proto"], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

fn descriptor(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(&format!("ipc.v1.{name}")).unwrap()
}

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

fn limits() -> PeerLimits {
    PeerLimits {
        max_frame: 1,
        max_message: 2,
        max_calls: 3,
        initial_credit: 4,
        max_metadata: 5,
    }
}

fn service() -> ServiceInfo {
    ServiceInfo {
        name: "a.B".into(),
        schema: 11,
    }
}

fn hello() -> Hello {
    Hello {
        minor: 6,
        limits: Some(limits()),
        services: vec![service()],
        software: "s/1".into(),
    }
}

fn welcome() -> Welcome {
    Welcome {
        minor: 6,
        limits: Some(limits()),
        services: vec![service()],
        software: "s/1".into(),
        session: bytes(b"session"),
        nonce: bytes(b"nonce"),
    }
}

fn entry() -> Entry {
    Entry {
        key: "key".into(),
        value: bytes(b"value"),
    }
}

fn call_head() -> CallHead {
    CallHead {
        method: 7,
        time_left: Some(8),
        metadata: vec![entry()],
        body: Some(bytes(b"body")),
    }
}

fn end() -> End {
    End {
        code: 9,
        message: "text".into(),
        details: bytes(b"details"),
        metadata: vec![entry()],
        unseen: true,
    }
}

fn go_away() -> GoAway {
    GoAway {
        code: 12,
        message: "text".into(),
        last_call: 13,
    }
}
