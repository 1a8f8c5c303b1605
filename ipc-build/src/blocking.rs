//! The synchronous client, for programs without a runtime.

use crate::client::Functions;
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
    let functions = Functions {
        receiver: "&mut self",
        module: "::ipc::blocking",
        lifetime: "'_, ",
    };
    functions.generate(text, buf);
    buf.push_str("}\n");
}
