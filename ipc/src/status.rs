//! How a call ended, in the terms of gRPC.

use std::fmt;

use bytes::Bytes;

use crate::metadata::Metadata;
use crate::wire::messages::{End, MetadataError};

/// A gRPC status code (grpc doc/statuscodes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Code {
    /// Success.
    Ok = 0,
    /// The caller gave the call up.
    Cancelled = 1,
    /// A handler panicked or dropped its answer, or the code was not known here.
    Unknown = 2,
    /// The request is wrong, whatever the state of the system.
    InvalidArgument = 3,
    /// The deadline passed.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A limit was reached.
    ResourceExhausted = 8,
    /// The system is not in a state in which this can be done.
    FailedPrecondition = 9,
    /// The operation was given up, for instance after a conflict.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// No such method or service here.
    Unimplemented = 12,
    /// Something that must hold does not.
    Internal = 13,
    /// Not reachable now; trying again later may help.
    Unavailable = 14,
    /// Data was lost or damaged for good.
    DataLoss = 15,
    /// The caller could not be identified.
    Unauthenticated = 16,
}

impl Code {
    /// The code for a number; an unknown number is [`Code::Unknown`].
    #[must_use]
    pub const fn from_u32(code: u32) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }

    /// The number of the code.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        self as u32
    }
}

/// Why a call failed: a code, a text for developers, and what the service adds.
#[derive(Clone, PartialEq, Eq)]
pub struct Status(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    code: Code,
    message: String,
    details: Bytes,
    metadata: Metadata,
}

impl Status {
    /// A status with a code and a text.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (details, metadata) = (Bytes::new(), Metadata::default());
        Self(Box::new(Parts {
            code,
            message: message.into(),
            details,
            metadata,
        }))
    }

    /// Adds machine-readable details, by convention of the service.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Bytes>) -> Self {
        self.0.details = details.into();
        self
    }

    /// Adds metadata. If it is more than the caller accepts, the status goes without it.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.0.metadata = metadata;
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The text for developers.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Machine-readable details; empty if there are none.
    #[must_use]
    pub fn details(&self) -> &Bytes {
        &self.0.details
    }

    /// Metadata that came with the status.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The status as it travels.
    pub(crate) fn to_end(&self) -> End {
        End {
            code: self.0.code.to_u32(),
            message: self.0.message.clone(),
            details: self.0.details.clone(),
            metadata: self.0.metadata.entries().to_vec(),
            unseen: false,
        }
    }

    /// The status that travelled.
    pub(crate) fn from_end(end: End) -> Self {
        Self(Box::new(Parts {
            code: Code::from_u32(end.code),
            message: end.message,
            details: end.details,
            metadata: Metadata::from_entries(end.metadata),
        }))
    }
}

macro_rules! constructors {
    ($($name:ident $code:ident $doc:literal),* $(,)?) => {
        impl Status {
            $(#[doc = $doc]
            #[must_use]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Code::$code, message)
            })*
        }
    };
}

constructors! {
    cancelled Cancelled "The caller gave the call up.",
    unknown Unknown "No better code fits.",
    invalid_argument InvalidArgument "The request is wrong.",
    deadline_exceeded DeadlineExceeded "The deadline passed.",
    not_found NotFound "What was asked for does not exist.",
    already_exists AlreadyExists "What was to be made exists.",
    permission_denied PermissionDenied "The caller may not do this.",
    resource_exhausted ResourceExhausted "A limit was reached.",
    failed_precondition FailedPrecondition "The system is not in a state for this.",
    aborted Aborted "The operation was given up.",
    out_of_range OutOfRange "Past the valid range.",
    unimplemented Unimplemented "No such method or service.",
    internal Internal "Something that must hold does not.",
    unavailable Unavailable "Not reachable now.",
    data_loss DataLoss "Data was lost for good.",
    unauthenticated Unauthenticated "The caller could not be identified.",
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may be that of a peer, and what is printed here is logged.
        write!(f, "{:?}: {:?}", self.0.code, self.0.message)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("details", &self.0.details.len())
            .field("metadata", &self.0.metadata)
            .finish()
    }
}

impl std::error::Error for Status {}

/// A handler may use `?` on metadata that it adds.
impl From<MetadataError> for Status {
    fn from(error: MetadataError) -> Self {
        Self::from_end(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for number in 0..=16 {
            assert_eq!(Code::from_u32(number).to_u32(), number);
        }
        assert_eq!(Code::from_u32(17), Code::Unknown);
        let status = Status::not_found("no job 7").with_details(&b"\x08\x07"[..]);
        assert_eq!(Status::from_end(status.to_end()), status);
    }
}
