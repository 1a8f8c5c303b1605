//! The server half: the method table, the trait that a program implements, and the server around it.

use std::collections::HashMap;

use prost_build::{Comments, Method, Service, ServiceGenerator};
use prost_types::method_options::IdempotencyLevel;

use crate::names::{self, ServiceNames};
use crate::options::{Access, MethodFacts, Shape};
use crate::{blocking, client, descriptors};

/// What generation needs to know of a service beyond what prost-build hands over.
#[derive(Debug)]
pub(crate) struct ServiceFacts {
    pub(crate) schema: u64,
    pub(crate) methods: Vec<MethodFacts>,
}

/// Writes the Rust text of each service that prost-build meets.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) blocking: bool,
    pub(crate) descriptors: bool,
    /// By full name in the proto.
    pub(crate) facts: HashMap<String, ServiceFacts>,
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let full_name = full_name(&service);
        let Some(facts) = self.facts.get(&full_name) else {
            return; // every service of the descriptor set has been read
        };
        let text = ServiceText {
            names: ServiceNames::new(&service.name),
            service: &service,
            full_name,
            facts,
        };
        text.method_table(buf);
        text.schema(buf);
        text.service_trait(buf);
        text.server(buf);
        text.service_impl(buf);
        client::generate(&text, buf);
        if self.blocking {
            blocking::generate(&text, buf);
        }
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        if self.descriptors {
            descriptors::constant(package, buf);
        }
    }
}

/// One service on its way to Rust.
pub(crate) struct ServiceText<'a> {
    pub(crate) names: ServiceNames,
    pub(crate) service: &'a Service,
    pub(crate) full_name: String,
    facts: &'a ServiceFacts,
}

impl ServiceText<'_> {
    /// The methods with their index in the method table.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (usize, &Method, &MethodFacts)> {
        let methods = self.service.methods.iter().zip(&self.facts.methods);
        methods
            .enumerate()
            .map(|(i, (method, facts))| (i, method, facts))
    }

    /// Docs and attributes of a method: the comment of the proto, or else `otherwise`.
    pub(crate) fn method_docs(
        &self,
        method: &Method,
        facts: &MethodFacts,
        otherwise: &str,
    ) -> String {
        let mut text = docs(&method.comments, otherwise);
        text.push_str(match facts.access {
            Access::Any => "",
            Access::SameUser => {
                "///\n/// Only for the user that the serving process runs as, and root.\n"
            }
            Access::Admin => "///\n/// Only for administrators and root.\n",
            Access::Root => "///\n/// Only for root.\n",
        });
        if facts.shape == Shape::OneWay {
            text.push_str("///\n/// One-way: the caller learns neither when nor whether it ran.\n");
        }
        if method.options.deprecated() {
            text.push_str("#[deprecated]\n");
        }
        text
    }

    /// `#[deprecated]` where the proto says so of the whole service.
    pub(crate) fn deprecation(&self) -> &'static str {
        if self.service.options.deprecated() {
            "#[deprecated]\n"
        } else {
            ""
        }
    }

    /// An attribute that lets an item do what its proto, not its author, is the cause of.
    ///
    /// `lints` are those of this item; code of a deprecated service may also name that service.
    pub(crate) fn allow(&self, lints: &[&str]) -> String {
        let mut lints = lints.to_vec();
        if self.service.options.deprecated() && !lints.contains(&"deprecated") {
            lints.push("deprecated");
        }
        if lints.is_empty() {
            return String::new();
        }
        format!(
            "#[allow(clippy::allow_attributes, {}, reason = \"generated from a proto\")]\n",
            lints.join(", ")
        )
    }

    /// Attributes of a client's struct.
    pub(crate) fn client_attributes(&self) -> String {
        format!("{}{}", self.allow(&[]), self.deprecation())
    }

    fn method_table(&self, buf: &mut String) {
        let (name, full_name) = (&self.names.methods, &self.full_name);
        let count = self.service.methods.len();
        buf.push_str(&format!(
            "/// The methods of `{full_name}`, in the order of the proto.\n\
             pub static {name}: [::ipc::Method; {count}] = [\n"
        ));
        for (_, method, facts) in self.methods() {
            let (method, shape) = (&method.proto_name, facts.shape.variant());
            let access = access(facts.access);
            let idempotency = idempotency(facts.idempotency);
            buf.push_str(&format!(
                "::ipc::Method::new(\"{full_name}/{method}\", ::ipc::Shape::{shape}){access}{idempotency},\n"
            ));
        }
        buf.push_str("];\n");
    }

    fn schema(&self, buf: &mut String) {
        let (name, full_name) = (&self.names.schema, &self.full_name);
        let digits = format!("{:016x}", self.facts.schema);
        let [a, b, c, d] = [0, 4, 8, 12].map(|at| &digits[at..at + 4]);
        buf.push_str(&format!(
            "/// A hash of `{full_name}` and of every type it carries: equal where both sides read the same bytes alike.\n\
             pub const {name}: ::core::primitive::u64 = 0x{a}_{b}_{c}_{d};\n"
        ));
    }

    fn service_trait(&self, buf: &mut String) {
        let name = &self.names.service;
        let otherwise = format!("The handlers of `{}`.", self.full_name);
        buf.push_str(&docs(&self.service.comments, &otherwise));
        buf.push_str(self.deprecation());
        buf.push_str(&self.allow(&PROTO_NAMES));
        buf.push_str(&format!(
            "pub trait {name}: ::core::marker::Send + ::core::marker::Sync + 'static {{\n"
        ));
        for (_, method, facts) in self.methods() {
            let otherwise = format!("Handles `{}/{}`.", self.full_name, method.proto_name);
            buf.push_str(&self.method_docs(method, facts, &otherwise));
            buf.push_str(&handler(method, facts.shape));
        }
        buf.push_str("}\n");
    }

    fn server(&self, buf: &mut String) {
        let ServiceNames {
            server,
            service,
            handlers,
            ..
        } = &self.names;
        let full_name = &self.full_name;
        let (deprecation, allow) = (self.deprecation(), self.allow(&[]));
        buf.push_str(&format!(
            r#"/// Serves `{full_name}` with an implementation of [`{service}`].
{deprecation}pub struct {server}<{handlers}> {{
    inner: ::std::sync::Arc<{handlers}>,
}}
{allow}impl<{handlers}: {service}> {server}<{handlers}> {{
    /// Serves with `inner`.
    pub fn new(inner: {handlers}) -> Self {{
        Self::from_arc(::std::sync::Arc::new(inner))
    }}
    /// Serves with handlers that the program shares.
    pub fn from_arc(inner: ::std::sync::Arc<{handlers}>) -> Self {{
        Self {{ inner }}
    }}
}}
{allow}impl<{handlers}> ::core::clone::Clone for {server}<{handlers}> {{
    fn clone(&self) -> Self {{
        Self {{ inner: ::std::sync::Arc::clone(&self.inner) }}
    }}
}}
{allow}impl<{handlers}> ::core::fmt::Debug for {server}<{handlers}> {{
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
        f.debug_struct("{server}").finish_non_exhaustive()
    }}
}}
"#
        ));
    }

    fn service_impl(&self, buf: &mut String) {
        let ServiceNames {
            service,
            server,
            methods,
            schema,
            handlers,
            ..
        } = &self.names;
        let full_name = &self.full_name;
        let mut lints = DISPATCH.to_vec();
        if self.service.methods.iter().any(|m| m.options.deprecated()) {
            lints.push("deprecated");
        }
        let allow = self.allow(&lints);
        let call = self.dispatch();
        buf.push_str(&format!(
            r#"{allow}impl<{handlers}: {service}> ::ipc::Service for {server}<{handlers}> {{
    fn name(&self) -> &'static ::core::primitive::str {{
        "{full_name}"
    }}
    fn methods(&self) -> &'static [::ipc::Method] {{
        &{methods}
    }}
    fn schema(&self) -> ::core::primitive::u64 {{
        {schema}
    }}
    {call}
}}
"#
        ));
    }

    fn dispatch(&self) -> String {
        if self.service.methods.is_empty() {
            return "fn call(&self, _method: ::core::primitive::usize, incoming: ::ipc::Incoming) -> ::ipc::Handling {\n\
                    incoming.unimplemented()\n}"
            .to_owned();
        }
        let (service, handlers) = (&self.names.service, self.names.handlers);
        let mut arms = String::new();
        for (index, method, facts) in self.methods() {
            let (name, function) = (names::method(&method.name), facts.shape.function());
            let arguments = match facts.shape {
                Shape::Unary | Shape::ClientStreaming | Shape::OneWay => "call",
                Shape::ServerStreaming | Shape::Bidirectional => "call, out",
            };
            // By the trait's full path: `inner` is an Arc, which has methods of its own.
            arms.push_str(&format!(
                "{index} => incoming.{function}(move |{arguments}| async move {{\n\
                 <{handlers} as {service}>::{name}(&inner, {arguments}).await\n}}),\n"
            ));
        }
        format!(
            "fn call(&self, method: ::core::primitive::usize, incoming: ::ipc::Incoming) -> ::ipc::Handling {{\n\
             let inner = ::std::sync::Arc::clone(&self.inner);\n\
             match method {{\n{arms}_ => incoming.unimplemented(),\n}}\n}}"
        )
    }
}

/// What names like `Clone` and `FromX` set off where methods take `&self` and a request.
pub(crate) const PROTO_NAMES: [&str; 2] = [
    "clippy::should_implement_trait",
    "clippy::wrong_self_convention",
];

/// What the dispatch of many methods sets off.
const DISPATCH: [&str; 3] = [
    "clippy::excessive_nesting",
    "clippy::semicolon_if_nothing_returned",
    "clippy::too_many_lines",
];

/// The comment of the proto as docs, or else `otherwise`.
pub(crate) fn docs(comments: &Comments, otherwise: &str) -> String {
    let mut text = String::new();
    comments.append_with_indent(0, &mut text);
    if comments.leading.is_empty() && comments.trailing.is_empty() {
        text.push_str(&format!("/// {otherwise}\n"));
    }
    text
}

fn full_name(service: &Service) -> String {
    if service.package.is_empty() {
        service.proto_name.clone()
    } else {
        format!("{}.{}", service.package, service.proto_name)
    }
}

fn handler(method: &Method, shape: Shape) -> String {
    let name = names::method(&method.name);
    let (input, output) = (&method.input_type, &method.output_type);
    let (arguments, answer) = match shape {
        Shape::Unary => (format!("call: ::ipc::Call<{input}>"), output.as_str()),
        Shape::ServerStreaming => (
            format!("call: ::ipc::Call<{input}>, out: ::ipc::Sender<{output}>"),
            "()",
        ),
        Shape::ClientStreaming => (
            format!("call: ::ipc::Call<::ipc::Receiver<{input}>>"),
            output.as_str(),
        ),
        Shape::Bidirectional => (
            format!("call: ::ipc::Call<::ipc::Receiver<{input}>>, out: ::ipc::Sender<{output}>"),
            "()",
        ),
        Shape::OneWay => (format!("call: ::ipc::Call<{input}>"), "()"),
    };
    let result = match shape {
        Shape::OneWay => answer.to_owned(),
        Shape::Unary | Shape::ServerStreaming | Shape::ClientStreaming | Shape::Bidirectional => {
            format!("::core::result::Result<{answer}, ::ipc::Status>")
        }
    };
    format!(
        "fn {name}(&self, {arguments}) -> \
         impl ::core::future::Future<Output = {result}> + ::core::marker::Send;\n"
    )
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Any => "",
        Access::SameUser => ".access(::ipc::Access::SameUser)",
        Access::Admin => ".access(::ipc::Access::Admin)",
        Access::Root => ".access(::ipc::Access::Root)",
    }
}

fn idempotency(level: IdempotencyLevel) -> &'static str {
    match level {
        IdempotencyLevel::IdempotencyUnknown => "",
        IdempotencyLevel::NoSideEffects => ".idempotency(::ipc::Idempotency::NoSideEffects)",
        IdempotencyLevel::Idempotent => ".idempotency(::ipc::Idempotency::Idempotent)",
    }
}
