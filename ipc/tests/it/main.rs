//! Behaviour with both ends real: one binary, one file per topic.

mod support;
mod unary;
