//! What the demo waits for at each moment, to be told when its time is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Everything that is awaited now.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<BTreeMap<String, String>>);

impl Waits {
    /// Begins to wait for `who`.
    pub(crate) fn on(&self, who: &str) -> Wait<'_> {
        Wait {
            waits: self,
            who: who.to_owned(),
        }
    }

    /// Who is awaited, and what each of them is to do.
    pub(crate) fn text(&self) -> String {
        let waits = self.all();
        let each: Vec<_> = waits
            .iter()
            .map(|(who, what)| format!("{who} {what}"))
            .collect();
        each.join(", and ")
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that is awaited, until this is dropped.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    waits: &'a Waits,
    who: String,
}

impl Wait<'_> {
    /// Says what is missing now, as in "to end".
    pub(crate) fn is_for(&self, what: impl Into<String>) {
        self.waits.all().insert(self.who.clone(), what.into());
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.waits.all().remove(&self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_awaited_is_told_and_as_it_stands() {
        let waits = Waits::default();
        let (two, one) = (waits.on("two"), waits.on("one"));
        two.is_for("to begin");
        one.is_for("to begin");
        two.is_for("to end");
        assert_eq!(waits.text(), "one to begin, and two to end");
        drop(one);
        assert_eq!(waits.text(), "two to end");
        drop(two);
        assert_eq!(waits.text(), "");
    }
}
