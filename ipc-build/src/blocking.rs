//! The synchronous client, for programs without a runtime.

use crate::names;
use crate::options::Shape;
use crate::service::{PROTO_NAMES, ServiceText};

/// Appends the synchronous client of `text`.
pub(crate) fn generate(text: &ServiceText<'_>, buf: &mut String) {
    let (client, full_name) = (&text.names.blocking, &text.full_name);
    let (attributes, allow) = (text.client_attributes(), text.allow(&PROTO_NAMES));
    let unused = text.allow(&["dead_code"]);
    buf.push_str(&format!(
        r#"/// Calls `{full_name}` at the other end of a connection, and waits on the calling thread.
{attributes}#[derive(Debug)]
pub struct {client} {{
    inner: ::ipc::blocking::Client,
}}
{allow}impl {client} {{
    /// Calls through `client`.
    pub fn new(client: ::ipc::blocking::Client) -> Self {{
        Self {{ inner: client }}
    }}
    /// The client beneath, for what is not about one method: the peer, other services on the same connection.
    {unused}pub fn client(&mut self) -> &mut ::ipc::blocking::Client {{
        &mut self.inner
    }}
"#
    ));
    for (index, method, facts) in text.methods() {
        let otherwise = format!("Calls `{full_name}/{}`.", method.proto_name);
        let (input, output) = (&method.input_type, &method.output_type);
        let (table, name) = (&text.names.methods, names::method(&method.name));
        let function = facts.shape.function();
        let (parameter, argument) = match facts.shape {
            Shape::Unary | Shape::ServerStreaming | Shape::OneWay => {
                (format!(", request: &{input}"), ", request")
            }
            Shape::ClientStreaming | Shape::Bidirectional => (String::new(), ""),
        };
        let answer = match facts.shape {
            Shape::Unary => output.clone(),
            Shape::ServerStreaming => format!("::ipc::blocking::Receiver<'_, {output}>"),
            Shape::ClientStreaming => format!("::ipc::blocking::Upload<'_, {input}, {output}>"),
            Shape::Bidirectional => format!("::ipc::blocking::Exchange<'_, {input}, {output}>"),
            Shape::OneWay => "()".to_owned(),
        };
        buf.push_str(&text.method_docs(method, facts, &otherwise));
        buf.push_str(&format!(
            "pub fn {name}(&mut self{parameter}) -> ::core::result::Result<{answer}, ::ipc::Error> {{\n\
             self.inner.{function}(&{table}[{index}]{argument})\n}}\n"
        ));
    }
    buf.push_str("}\n");
}
