//! Behaviour with both ends real: one binary, one file per topic.

mod blocking;
mod support;
mod unary;
