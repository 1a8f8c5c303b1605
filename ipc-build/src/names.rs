//! Names in Rust, and the refusal of those that two things would share.

use std::collections::HashMap;

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use prost_reflect::{FileDescriptor, ServiceDescriptor};

use crate::Error;
use crate::hash::fnv1a_32;
use crate::options::locate;

/// The names that one service takes in Rust.
#[derive(Debug)]
pub(crate) struct ServiceNames {
    pub(crate) service: String,
    pub(crate) server: String,
    pub(crate) client: String,
    pub(crate) blocking: String,
    pub(crate) methods: String,
    pub(crate) schema: String,
}

impl ServiceNames {
    /// `service` is the name of the service in Rust.
    pub(crate) fn new(service: &str) -> Self {
        let constant = service.to_shouty_snake_case();
        Self {
            service: service.to_owned(),
            server: format!("{service}Server"),
            client: format!("{service}Client"),
            blocking: format!("{service}BlockingClient"),
            methods: format!("{constant}_METHODS"),
            schema: format!("{constant}_SCHEMA"),
        }
    }

    fn all(self) -> [String; 6] {
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

/// Refuses two methods of one service with the same wire id or the same name in Rust.
pub(crate) fn check_methods(service: &ServiceDescriptor) -> Result<(), Error> {
    let mut ids = HashMap::new();
    let mut names = HashMap::new();
    for method in service.methods() {
        let name = method.name().to_owned();
        let at = locate(&service.parent_file(), method.path());
        let id = fnv1a_32(format!("{}/{name}", service.full_name()).as_bytes());
        if let Some(first) = ids.insert(id, name.clone()) {
            return Err(Error::MethodIdCollision {
                at,
                service: service.full_name().to_owned(),
                first,
                second: name,
                id,
            });
        }
        let rust = name.to_snake_case();
        if let Some(first) = names.insert(rust.clone(), name.clone()) {
            return Err(Error::NameClash {
                at,
                first: format!("method {}/{first}", service.full_name()),
                second: format!("method {}/{name}", service.full_name()),
                name: rust,
            });
        }
    }
    Ok(())
}

/// Refuses two things of one package whose names in Rust are the same, where a service is one of them.
///
/// `blocking` says whether the synchronous clients are generated and take names too.
pub(crate) fn check_packages<'a>(
    files: impl Iterator<Item = &'a FileDescriptor> + Clone,
    blocking: bool,
) -> Result<(), Error> {
    let mut taken: HashMap<(String, String), String> = HashMap::new();
    for file in files.clone() {
        let types = file
            .messages()
            .map(|message| ("message", message.name().to_owned()))
            .chain(file.enums().map(|kind| ("enum", kind.name().to_owned())));
        for (kind, name) in types {
            let key = (file.package_name().to_owned(), name.to_upper_camel_case());
            taken.insert(key, format!("{kind} {name}"));
        }
    }
    for service in files.flat_map(FileDescriptor::services) {
        let names = ServiceNames::new(&service.name().to_upper_camel_case());
        let skipped = (!blocking).then(|| names.blocking.clone());
        for name in names.all() {
            if skipped.as_ref() == Some(&name) {
                continue;
            }
            let key = (service.package_name().to_owned(), name.clone());
            let second = format!("service {}", service.name());
            if let Some(first) = taken.insert(key, second.clone()) {
                return Err(Error::NameClash {
                    at: locate(&service.parent_file(), service.path()),
                    first,
                    second,
                    name,
                });
            }
        }
    }
    Ok(())
}
