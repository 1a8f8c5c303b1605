//! What generated code says about a method.

use crate::wire::method_id;

/// How many messages go each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One message each way.
    Unary,
    /// One request, many answers.
    ServerStreaming,
    /// Many requests, one answer.
    ClientStreaming,
    /// Many each way.
    Bidirectional,
    /// One request, no answer.
    OneWay,
}

/// Who may call a method, of those the policy lets in; `option (ipc.access)` in the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everyone the policy admits.
    #[default]
    Any,
    /// The serving process's own user, and root.
    SameUser,
    /// Administrators, and root.
    Admin,
    /// Root alone.
    Root,
}

/// Whether running a method twice does harm; `option idempotency_level` in the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// It may.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// Twice is the same as once.
    Idempotent,
}

/// What generated code says about one method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    path: &'static str,
    id: u32,
    shape: Shape,
    access: Access,
    idempotency: Idempotency,
}

impl Method {
    /// A method by its path, `package.Service/Method`.
    #[must_use]
    pub const fn new(path: &'static str, shape: Shape) -> Self {
        let (access, idempotency) = (Access::Any, Idempotency::Unknown);
        Self {
            path,
            id: method_id(path),
            shape,
            access,
            idempotency,
        }
    }

    /// Who may call it.
    #[must_use]
    pub const fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Whether running it twice does harm.
    #[must_use]
    pub const fn idempotency(self, idempotency: Idempotency) -> Self {
        Self {
            idempotency,
            ..self
        }
    }

    /// `package.Service/Method`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// How it travels: the FNV-1a hash of the path.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether the answers end by themselves, so that a deadline for all calls fits this one.
    pub(crate) const fn is_bounded(&self) -> bool {
        !matches!(self.shape, Shape::ServerStreaming | Shape::Bidirectional)
    }

    /// How many messages go each way.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Who may call it.
    #[must_use]
    pub const fn required_access(&self) -> Access {
        self.access
    }

    /// Whether running it twice does harm.
    #[must_use]
    pub const fn idempotency_level(&self) -> Idempotency {
        self.idempotency
    }
}
