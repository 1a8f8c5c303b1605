//! Names in Rust, as prost-build makes them where it does.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

/// The names that one service takes in Rust.
#[derive(Debug)]
pub(crate) struct ServiceNames {
    pub(crate) service: String,
    pub(crate) server: String,
    pub(crate) client: String,
    pub(crate) blocking: String,
    pub(crate) methods: String,
    pub(crate) schema: String,
    /// The type parameter for the handlers.
    pub(crate) handlers: &'static str,
}

impl ServiceNames {
    /// `service` is the name of the service in Rust.
    pub(crate) fn new(service: &str) -> Self {
        let constant = not_a_number(service.to_shouty_snake_case());
        Self {
            service: service.to_owned(),
            server: format!("{service}Server"),
            client: format!("{service}Client"),
            blocking: format!("{service}BlockingClient"),
            methods: format!("{constant}_METHODS"),
            schema: format!("{constant}_SCHEMA"),
            handlers: if service == "T" { "U" } else { "T" },
        }
    }

    /// Those that stand beside the messages of the package.
    pub(crate) fn all(self) -> [String; 6] {
        [
            self.service,
            self.server,
            self.client,
            self.blocking,
            self.methods,
            self.schema,
        ]
    }
}

/// The name of a method in Rust; `name` is what prost-build made of it.
///
/// `new` and `client` are functions that every client has: a method gets an underscore, as prost does with `self`.
pub(crate) fn method(name: &str) -> &str {
    match name {
        "new" => "new_",
        "client" => "client_",
        other => other,
    }
}

/// The name of a type or a variant.
pub(crate) fn camel(name: &str) -> String {
    not_a_number(name.to_upper_camel_case())
}

/// The name of a field.
pub(crate) fn snake(name: &str) -> String {
    not_a_number(name.to_snake_case())
}

/// The path of the module that holds `package`, which is the name of its file too.
pub(crate) fn module(package: &str) -> String {
    let parts: Vec<String> = package.split('.').map(snake).collect();
    parts.join(".")
}

fn not_a_number(name: String) -> String {
    if name.starts_with(char::is_numeric) {
        format!("_{name}")
    } else {
        name
    }
}
