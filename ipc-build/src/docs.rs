//! Gives a comment to everything in a proto that has none.
//!
//! prost-build turns comments into docs and writes nothing where there is no comment; a user's crate with
//! `missing_docs` would then warn about code that nobody can edit.

use std::collections::HashMap;

use prost_types::source_code_info::Location;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use crate::markdown::mark_code;

/// Adds the missing comments of messages, fields, oneofs, enums and their values to `file`, and makes those
/// that are there safe for rustdoc.
///
/// Services and methods are left alone: their docs are written with the code, where the shape is known.
pub(crate) fn fill(file: &mut FileDescriptorProto) {
    let mut comments = Missing {
        scope: file.package().to_owned(),
        path: Vec::new(),
        texts: HashMap::new(),
    };
    comments.messages(4, &file.message_type);
    comments.enums(5, &file.enum_type);

    let Some(info) = &mut file.source_code_info else {
        return; // one of Google's, whose types come from prost-types
    };
    for location in &mut info.location {
        let text = comments.texts.remove(&location.path);
        let is_bare = location.leading_comments.is_none() && location.trailing_comments.is_none();
        if is_bare {
            location.leading_comments = text;
            continue;
        }
        let written = [
            &mut location.leading_comments,
            &mut location.trailing_comments,
        ];
        for comment in written.into_iter().flatten() {
            *comment = mark_code(comment);
        }
    }
    // prost-build looks each path up and panics where it finds none.
    info.location
        .extend(comments.texts.into_iter().map(|(path, text)| Location {
            path,
            leading_comments: Some(text),
            ..Location::default()
        }));
}

/// Texts by path, as descriptor.proto defines paths: field numbers and indexes in turn.
struct Missing {
    scope: String,
    path: Vec<i32>,
    texts: HashMap<Vec<i32>, String>,
}

impl Missing {
    fn messages(&mut self, field: i32, messages: &[DescriptorProto]) {
        for (index, message) in indexed(messages) {
            let is_map_entry = message.options.as_ref().is_some_and(|o| o.map_entry());
            if is_map_entry {
                continue; // no struct is generated for it
            }
            let outer = self.enter([field, index], message.name());
            self.add(&[], format!(" The message `{}`.\n", self.scope));
            for (index, field) in indexed(&message.field) {
                let text = format!(" Field {}, `{}`.\n", field.number(), field.name());
                self.add(&[2, index], text);
            }
            for (index, oneof) in indexed(&message.oneof_decl) {
                self.add(
                    &[8, index],
                    format!(" At most one field of the oneof `{}`.\n", oneof.name()),
                );
            }
            self.messages(3, &message.nested_type);
            self.enums(4, &message.enum_type);
            self.leave(outer);
        }
    }

    fn enums(&mut self, field: i32, enums: &[EnumDescriptorProto]) {
        for (index, kind) in indexed(enums) {
            let outer = self.enter([field, index], kind.name());
            self.add(&[], format!(" The enum `{}`.\n", self.scope));
            for (index, value) in indexed(&kind.value) {
                let text = format!(" Value {}, `{}`.\n", value.number(), value.name());
                self.add(&[2, index], text);
            }
            self.leave(outer);
        }
    }

    fn enter(&mut self, step: [i32; 2], name: &str) -> String {
        self.path.extend(step);
        let inner = if self.scope.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.scope)
        };
        std::mem::replace(&mut self.scope, inner)
    }

    fn leave(&mut self, outer: String) {
        self.path.truncate(self.path.len() - 2);
        self.scope = outer;
    }

    fn add(&mut self, step: &[i32], text: String) {
        self.texts.insert([&self.path, step].concat(), text);
    }
}

fn indexed<T>(items: &[T]) -> impl Iterator<Item = (i32, &T)> {
    (0..).zip(items)
}
