//! Behaviour with both ends real: one binary, one file per topic.
#![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod blocking;
mod cancel;
mod codes;
mod deadline;
mod echo;
mod floods;
mod hostile;
mod hostile_server;
mod hostile_welcome;
mod large;
mod limits;
mod metadata;
mod odd_calls;
mod one_way;
mod outlive;
mod policy;
mod raw;
mod shutdown;
mod strangers;
mod streams;
mod support;
mod unary;
