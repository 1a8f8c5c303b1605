//! Names and values that travel beside a message.

use std::fmt;

use bytes::Bytes;

use crate::wire::messages::{Entry, MetadataError, check_metadata};

/// Metadata of a call or an answer, in the order it was added.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(
    /// Never empty. Boxed, because most calls have none and all of them carry this about.
    #[expect(
        clippy::box_collection,
        reason = "two words smaller where there is none"
    )]
    Option<Box<Vec<Entry>>>,
);

impl Metadata {
    /// Adds an entry; the key is made lower-case. Names may repeat.
    ///
    /// # Errors
    ///
    /// [`MetadataError::Key`] if the key cannot travel; nothing is added then. How much of all
    /// entries can is known only where they are sent.
    pub fn insert(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), MetadataError> {
        let entry = Entry::new(key, value);
        check_metadata([&entry], u32::MAX)?;
        self.add(entry);
        Ok(())
    }

    /// Adds an entry that is checked when it is sent.
    pub(crate) fn push(&mut self, key: &str, value: impl Into<Bytes>) {
        self.add(Entry::new(key, value));
    }

    /// Adds an entry.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.0.get_or_insert_default().push(entry);
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries()
            .iter()
            .map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.0.as_ref().map_or(&[], |entries| entries)
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.0.map_or_else(Vec::new, |entries| *entries)
    }

    pub(crate) fn from_entries(entries: Vec<Entry>) -> Self {
        Self((!entries.is_empty()).then(|| Box::new(entries)))
    }
}

/// Names and sizes only: values may be secrets.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(key, value)| (key, value.len())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_values_are_not_printed() {
        let mut metadata = Metadata::default();
        metadata.insert("Trace-Id", "secret").unwrap();
        assert_eq!(metadata.get("trace-ID").unwrap(), "secret");
        assert_eq!(metadata.get("other"), None);
        assert_eq!(format!("{metadata:?}"), r#"{"trace-id": 6}"#);
    }

    #[test]
    fn a_key_that_cannot_travel_is_not_added() {
        // [MET-1]
        let mut metadata = Metadata::default();
        for key in ["", "sp ace", "\u{fc}", "a:b", &"k".repeat(129)] {
            let refused = metadata.insert(key, "value");
            assert_eq!(refused, Err(MetadataError::Key), "{key}");
        }
        assert!(metadata.is_empty());
        metadata.insert(&"k".repeat(128), "value").unwrap();
    }
}
