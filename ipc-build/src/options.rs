//! What the options of a method say.
//!
//! prost-build drops extensions it does not know, so they are read from protox's descriptor pool.

use prost_reflect::{FileDescriptor, MethodDescriptor, Value};
use prost_types::method_options::IdempotencyLevel;

use crate::Error;

/// How requests and answers travel; mirrors `ipc::Shape`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidirectional,
    OneWay,
}

impl Shape {
    /// The name of the variant in `ipc::Shape`.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Unary => "Unary",
            Self::ServerStreaming => "ServerStreaming",
            Self::ClientStreaming => "ClientStreaming",
            Self::Bidirectional => "Bidirectional",
            Self::OneWay => "OneWay",
        }
    }

    /// The name of the function that `ipc`'s clients and `Incoming` have for it.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStreaming => "server_streaming",
            Self::ClientStreaming => "client_streaming",
            Self::Bidirectional => "bidirectional",
            Self::OneWay => "one_way",
        }
    }
}

/// Who may call a method; mirrors `ipc::Access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Any,
    SameUser,
    Admin,
    Root,
}

impl Access {
    fn from_proto(name: &str) -> Option<Self> {
        Some(match name {
            "ANY" => Self::Any,
            "SAME_USER" => Self::SameUser,
            "ADMIN" => Self::Admin,
            "ROOT" => Self::Root,
            _ => return None,
        })
    }
}

/// What generation needs to know of a method beyond what prost-build hands over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MethodFacts {
    pub(crate) shape: Shape,
    pub(crate) access: Access,
    pub(crate) idempotency: IdempotencyLevel,
}

impl MethodFacts {
    /// Reads and checks the options of `method`.
    pub(crate) fn read(method: &MethodDescriptor) -> Result<Self, Error> {
        let one_way = match extension(method, "one_way")? {
            None => false,
            Some((Value::Bool(value), _)) => value,
            Some(_) => return Err(unreadable(method, "one_way")),
        };
        let access = match extension(method, "access")? {
            None => Access::Any,
            Some((_, Some(name))) => {
                Access::from_proto(&name).ok_or_else(|| unreadable(method, "access"))?
            }
            Some((_, None)) => return Err(unreadable(method, "access")),
        };
        let options = method.method_descriptor_proto().options.as_ref();
        Ok(Self {
            shape: shape(method, one_way)?,
            access,
            idempotency: options.map_or(IdempotencyLevel::IdempotencyUnknown, |options| {
                options.idempotency_level()
            }),
        })
    }
}

/// File, line and column where `path` of `file` stands, as far as they are known.
pub(crate) fn locate(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let span = info
        .into_iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .map(|location| location.span.as_slice());
    match span {
        Some([line, column, ..]) => format!("{}:{}:{}", file.name(), line + 1, column + 1),
        _ => file.name().to_owned(),
    }
}

fn shape(method: &MethodDescriptor, one_way: bool) -> Result<Shape, Error> {
    let problem = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) if !one_way => return Ok(Shape::Unary),
        (false, true) if !one_way => return Ok(Shape::ServerStreaming),
        (true, false) if !one_way => return Ok(Shape::ClientStreaming),
        (true, true) if !one_way => return Ok(Shape::Bidirectional),
        (false, false) if method.output().full_name() == "google.protobuf.Empty" => {
            return Ok(Shape::OneWay);
        }
        (false, false) => "it must return google.protobuf.Empty",
        _ => "it must not stream",
    };
    Err(Error::OneWay {
        at: locate(&method.parent_file(), method.path()),
        service: method.parent_service().full_name().to_owned(),
        method: method.name().to_owned(),
        problem,
    })
}

/// The value of extension `ipc.<name>` on `method`, and its name in the proto where it is an enum.
fn extension(
    method: &MethodDescriptor,
    name: &'static str,
) -> Result<Option<(Value, Option<String>)>, Error> {
    let pool = method.parent_pool();
    let Some(extension) = pool.get_extension_by_name(&format!("ipc.{name}")) else {
        return Ok(None); // no file imports the options
    };
    if extension.containing_message().full_name() != "google.protobuf.MethodOptions" {
        return Err(unreadable(method, name));
    }
    let options = method.options();
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    let value = options.get_extension(&extension).into_owned();
    // By name, not by number: a copy of the options in the user's tree may be an older one.
    let value_name = value.as_enum_number().and_then(|number| {
        let kind = extension.kind();
        let value = kind.as_enum()?.get_value(number)?;
        Some(value.name().to_owned())
    });
    Ok(Some((value, value_name)))
}

fn unreadable(method: &MethodDescriptor, option: &'static str) -> Error {
    Error::UnreadableOption {
        at: locate(&method.parent_file(), method.path()),
        service: method.parent_service().full_name().to_owned(),
        method: method.name().to_owned(),
        option,
    }
}
