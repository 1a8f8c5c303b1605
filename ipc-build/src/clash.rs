//! The refusal of names in Rust that two things would share.

use std::collections::{HashMap, HashSet};

use heck::ToSnakeCase;
use prost_reflect::{
    EnumDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, OneofDescriptor,
    ServiceDescriptor,
};

use crate::Error;
use crate::hash::fnv1a_32;
use crate::names::{ServiceNames, camel, module, snake};
use crate::options::locate;

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

/// Refuses two things whose names in Rust are the same: types and services of one module, fields of one message,
/// values of one enum.
///
/// `blocking` says whether the synchronous clients are generated and take names too.
pub(crate) fn check_names<'a>(
    files: impl Iterator<Item = &'a FileDescriptor> + Clone,
    blocking: bool,
) -> Result<(), Error> {
    let mut taken = Taken::default();
    for file in files.clone() {
        let scope = format!("module {}", module(file.package_name()));
        for message in file.messages() {
            taken.message(file, &scope, &message)?;
        }
        for kind in file.enums() {
            taken.kind(file, &scope, &kind)?;
        }
    }
    for service in files.flat_map(FileDescriptor::services) {
        let names = ServiceNames::new(&camel(service.name()));
        let skipped = (!blocking).then(|| names.blocking.clone());
        let scope = format!("module {}", module(service.package_name()));
        let what = format!("service {}", service.name());
        for name in names.all() {
            if skipped.as_ref() != Some(&name) {
                let at = || locate(&service.parent_file(), service.path());
                taken.take(&scope, name, what.clone(), at)?;
            }
        }
    }
    Ok(())
}

/// What has each name, by scope.
#[derive(Default)]
struct Taken(HashMap<(String, String), String>);

impl Taken {
    fn message(
        &mut self,
        file: &FileDescriptor,
        scope: &str,
        message: &MessageDescriptor,
    ) -> Result<(), Error> {
        if message.is_map_entry() {
            return Ok(());
        }
        let path = local(file, message.full_name());
        let at = || locate(file, message.path());
        self.take(scope, camel(message.name()), format!("message {path}"), at)?;
        let (inside, fields) = (
            format!("message {}", message.full_name()),
            format!("fields of {}", message.full_name()),
        );
        for inner in message.child_messages() {
            self.message(file, &inside, &inner)?;
        }
        for kind in message.child_enums() {
            self.kind(file, &inside, &kind)?;
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            self.oneof(file, &inside, &oneof)?;
        }
        // Two fields have been refused already: they would have one name in JSON too.
        for field in message.fields().filter(|field| !is_variant(field)) {
            let at = || locate(file, field.path());
            let what = format!("field {path}.{}", field.name());
            self.take(&fields, snake(field.name()), what, at)?;
        }
        Ok(())
    }

    /// A field, and an enum in the module of its message.
    fn oneof(
        &mut self,
        file: &FileDescriptor,
        scope: &str,
        oneof: &OneofDescriptor,
    ) -> Result<(), Error> {
        let what = format!("oneof {}", local(file, oneof.full_name()));
        let at = || locate(file, oneof.path());
        let fields = format!("fields of {}", oneof.parent_message().full_name());
        self.take(&fields, snake(oneof.name()), what.clone(), at)?;
        let name = camel(oneof.name());
        // prost-build gives way to a type of that name.
        let is_taken = self.0.contains_key(&(scope.to_owned(), name.clone()));
        let name = if is_taken {
            format!("{name}OneOf")
        } else {
            name
        };
        self.take(scope, name, what, at)
    }

    fn kind(
        &mut self,
        file: &FileDescriptor,
        scope: &str,
        kind: &EnumDescriptor,
    ) -> Result<(), Error> {
        let path = local(file, kind.full_name());
        let at = || locate(file, kind.path());
        self.take(scope, camel(kind.name()), format!("enum {path}"), at)?;
        let values = format!("values of {}", kind.full_name());
        let mut numbers = HashSet::new();
        // Of several names for one number prost-build takes the first.
        for value in kind.values().filter(|value| numbers.insert(value.number())) {
            let at = || locate(file, value.path());
            let what = format!("value {path}.{}", value.name());
            self.take(&values, camel(value.name()), what, at)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        scope: &str,
        name: String,
        second: String,
        at: impl Fn() -> String,
    ) -> Result<(), Error> {
        let key = (scope.to_owned(), name.clone());
        match self.0.insert(key, second.clone()) {
            None => Ok(()),
            Some(first) => Err(Error::NameClash {
                at: at(),
                first,
                second,
                name,
            }),
        }
    }
}

fn is_variant(field: &FieldDescriptor) -> bool {
    let oneof = field.containing_oneof();
    oneof.is_some_and(|oneof| !oneof.is_synthetic())
}

/// `full_name` without the package.
fn local<'a>(file: &FileDescriptor, full_name: &'a str) -> &'a str {
    let package = file.package_name();
    let rest = full_name.strip_prefix(package).unwrap_or(full_name);
    rest.strip_prefix('.').unwrap_or(rest)
}
