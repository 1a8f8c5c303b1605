use std::fmt::{Debug, Write as _};
use std::fs::File;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::*;
use crate::sync::{Arc, Mutex};

/// The warnings that an operator would see.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn clients_that_cannot_be_identified_are_told_of_once_a_second() {
    let warnings = Warnings::default();
    // While there is only one, a line's first thread decides for all whether it is wanted.
    let _second = Dispatch::new(Warnings::default());
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (_directory, path) = scratch();
    let listener = bind(&path).unwrap();
    let mut told = Vec::new();
    for (clients, others) in [(3, 0), (1, 2)] {
        for _ in 0..clients {
            let nobody = File::open("/dev/null").unwrap().into();
            listener.orphans.lock().unwrap().push_back(nobody);
        }
        assert!(serves(&listener, &path).await);
        told.push(format!("others={others} "));
        let lines = warnings.0.lock().unwrap().clone();
        assert_eq!(lines.len(), told.len(), "{lines:?}");
        for (line, others) in lines.iter().zip(&told) {
            assert!(
                line.contains("cannot be identified") && line.contains(others),
                "{line}"
            );
            assert!(
                line.contains("the identity of the peer cannot be read"),
                "{line}"
            );
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}
