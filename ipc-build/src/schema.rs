//! One number for what two processes must agree on to understand each other's bytes.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor, ServiceDescriptor};
use prost_types::{DescriptorProto, EnumDescriptorProto, ServiceDescriptorProto};

use crate::hash::Fnv64;
use crate::options::{MethodFacts, Shape};

/// Hashes a service and every type that its methods can carry.
///
/// FNV-1a 64 over, in this order:
///
/// 1. the full name of the service and a zero byte;
/// 2. its `ServiceDescriptorProto`, serialized, without options;
/// 3. one byte per method in the order of the proto, 1 where it is one-way and else 0;
/// 4. for each message and enum reached from a request or an answer, sorted by full name: the full name,
///    a zero byte, and its `DescriptorProto` or `EnumDescriptorProto`, serialized, without options,
///    JSON names, reserved and extension ranges, and without nested types (they have their own entry where they
///    are reached).
///
/// So names, numbers, types, labels and order count; comments, options, access and idempotency, JSON names, and
/// the file that something stands in do not.
pub(crate) fn hash(service: &ServiceDescriptor, methods: &[MethodFacts]) -> u64 {
    let mut hash = Fnv64::new();
    hash.update(service.full_name().as_bytes());
    hash.update(&[0]);
    hash.update(&bare_service(service).encode_to_vec());
    for method in methods {
        hash.update(&[u8::from(method.shape == Shape::OneWay)]);
    }
    for (name, bytes) in reached_types(service) {
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(&bytes);
    }
    hash.finish()
}

fn reached_types(service: &ServiceDescriptor) -> BTreeMap<String, Vec<u8>> {
    let mut types = BTreeMap::new();
    let mut todo: Vec<MessageDescriptor> = service
        .methods()
        .flat_map(|method| [method.input(), method.output()])
        .collect();
    while let Some(message) = todo.pop() {
        let name = message.full_name().to_owned();
        if types.contains_key(&name) {
            continue;
        }
        types.insert(name, bare_message(&message).encode_to_vec());
        for field in message.fields() {
            match field.kind() {
                Kind::Message(inner) => todo.push(inner),
                Kind::Enum(inner) => {
                    let bytes = bare_enum(&inner).encode_to_vec();
                    types.insert(inner.full_name().to_owned(), bytes);
                }
                _ => {} // a scalar: its type is in the message's own bytes
            }
        }
    }
    types
}

fn bare_service(service: &ServiceDescriptor) -> ServiceDescriptorProto {
    let mut proto = service.service_descriptor_proto().clone();
    proto.options = None;
    for method in &mut proto.method {
        method.options = None;
        // Absent and `false` mean the same, and parsers differ in which of them they write.
        method.client_streaming = method.client_streaming.filter(|&streams| streams);
        method.server_streaming = method.server_streaming.filter(|&streams| streams);
    }
    proto
}

fn bare_message(message: &MessageDescriptor) -> DescriptorProto {
    let mut proto = message.descriptor_proto().clone();
    proto.options = None;
    proto.nested_type.clear();
    proto.enum_type.clear();
    proto.extension.clear();
    proto.extension_range.clear();
    proto.reserved_range.clear();
    proto.reserved_name.clear();
    for oneof in &mut proto.oneof_decl {
        oneof.options = None;
    }
    for field in &mut proto.field {
        field.options = None;
        field.json_name = None;
    }
    proto
}

fn bare_enum(descriptor: &EnumDescriptor) -> EnumDescriptorProto {
    let mut proto = descriptor.enum_descriptor_proto().clone();
    proto.options = None;
    proto.reserved_range.clear();
    proto.reserved_name.clear();
    for value in &mut proto.value {
        value.options = None;
    }
    proto
}
