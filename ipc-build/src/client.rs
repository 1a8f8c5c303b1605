//! The asynchronous client.

use crate::names;
use crate::options::Shape;
use crate::service::{PROTO_NAMES, ServiceText};

/// Appends the client of `text`.
pub(crate) fn generate(text: &ServiceText<'_>, buf: &mut String) {
    let (client, full_name) = (&text.names.client, &text.full_name);
    let (attributes, allow) = (text.client_attributes(), text.allow(&PROTO_NAMES));
    let unused = text.allow(&["dead_code"]);
    buf.push_str(&format!(
        r#"/// Calls `{full_name}` at the other end of a connection.
{attributes}#[derive(Clone, Debug)]
pub struct {client} {{
    inner: ::ipc::Client,
}}
{allow}impl {client} {{
    /// Calls through `client`.
    pub fn new(client: ::ipc::Client) -> Self {{
        Self {{ inner: client }}
    }}
    /// The client beneath, for what is not about one method: the peer, the end of the connection.
    {unused}pub fn client(&self) -> &::ipc::Client {{
        &self.inner
    }}
"#
    ));
    let functions = Functions {
        receiver: "&self",
        module: "::ipc",
        lifetime: "",
    };
    functions.generate(text, buf);
    buf.push_str("}\n");
}

/// The functions of a client: one for each method, which gives a request.
pub(crate) struct Functions {
    pub(crate) receiver: &'static str,
    /// Where the requests are.
    pub(crate) module: &'static str,
    /// What precedes the types of a request.
    pub(crate) lifetime: &'static str,
}

impl Functions {
    pub(crate) fn generate(&self, text: &ServiceText<'_>, buf: &mut String) {
        let Self {
            receiver,
            module,
            lifetime,
        } = self;
        let full_name = &text.full_name;
        for (index, method, facts) in text.methods() {
            let otherwise = format!("Calls `{full_name}/{}`.", method.proto_name);
            let (input, output) = (&method.input_type, &method.output_type);
            let (table, name) = (&text.names.methods, names::method(&method.name));
            let (function, shape) = (facts.shape.function(), facts.shape.variant());
            let (parameter, argument) = match facts.shape {
                Shape::Unary | Shape::ServerStreaming | Shape::OneWay => {
                    (format!(", request: {input}"), ", request")
                }
                Shape::ClientStreaming | Shape::Bidirectional => (String::new(), ""),
            };
            let types = match facts.shape {
                Shape::OneWay => input.clone(),
                Shape::Unary
                | Shape::ServerStreaming
                | Shape::ClientStreaming
                | Shape::Bidirectional => format!("{input}, {output}"),
            };
            buf.push_str(&text.method_docs(method, facts, &otherwise));
            buf.push_str(&format!(
                "pub fn {name}({receiver}{parameter}) -> {module}::{shape}<{lifetime}{types}> {{\n\
                 self.inner.{function}(&{table}[{index}]{argument})\n}}\n"
            ));
        }
    }
}
